import { after, before } from 'node:test';
import { join } from 'node:path';
import { testDriver } from '../driver.ts';
import { testSnapshotter } from '../snapshotter.ts';
import { testCrashes } from './crash.ts';
import { environmentOf } from './environment.ts';
import { openStore } from './store.ts';
import type { DriverSuite, Environment } from './suite.ts';

/** All that is asked of a storage driver: alone, below the snapshotter, and killed. */
export function testStorage(suite: DriverSuite): void {
  testDriver(suite);
  if (suite.limits?.mountless === undefined) testSnapshotterOn(suite);
  testCrashes(suite);
}

function testSnapshotterOn(suite: DriverSuite): void {
  const skip = suite.skip ?? false;
  let environment: Environment;
  before(async () => {
    if (skip === false) environment = await environmentOf(suite, { small: false });
  });
  after(() => environment?.[Symbol.asyncDispose]());
  let stores = 0;
  testSnapshotter({
    name: `on ${suite.name}`,
    skip,
    async open() {
      const root = join(environment.path, `store-${++stores}`);
      const options = (await environment.options?.(join(root, 'layers'))) ?? [];
      const store = await openStore(root, suite, options);
      const { driver, snapshots } = store;
      return {
        snapshots,
        rebases: driver.upper !== undefined,
        async [Symbol.asyncDispose]() {
          await driver.release?.(() => []);
          await store[Symbol.asyncDispose]();
        },
      };
    },
  });
}
