import { join } from 'node:path';
import { describe } from 'node:test';
import { inUserNamespace } from '../../sys/userns.ts';
import { testDriver } from '../driver.ts';
import { testSnapshotter } from '../snapshotter.ts';
import { environmentDuring } from './check.ts';
import { testCrashes } from './crash.ts';
import { testProcesses } from './processes.ts';
import { openStore } from './store.ts';
import type { DriverSuite } from './suite.ts';

/**
 * All that is asked of a storage driver: alone, below the snapshotter, in several processes at once,
 * and killed.
 */
export function testStorage(suite: DriverSuite): void {
  testDriver(suite);
  if (suite.limits?.mountless === undefined) {
    testSnapshotterOn(suite);
    testProcesses(suite);
  }
  // Nothing of that depends on where ids are mapped to.
  if (!inUserNamespace() && suite.limits?.kills === undefined) testCrashes(suite);
}

function testSnapshotterOn(suite: DriverSuite): void {
  describe(`driver ${suite.name}, below the snapshotter`, () => {
    const environment = environmentDuring(suite);
    let stores = 0;
    testSnapshotter({
      name: `on ${suite.name}`,
      skip: suite.skip ?? false,
      async open() {
        const { path, options } = environment();
        const root = join(path, `store-${++stores}`);
        const store = await openStore(root, suite, (await options?.(join(root, 'layers'))) ?? []);
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
  });
}
