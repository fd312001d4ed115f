import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readMountinfo } from '../../sys/mountinfo.ts';
import { within } from '../mounted.ts';
import { environmentDuring } from './check.ts';
import { openingStatements } from './program.ts';
import { leftIn } from './stage.ts';
import { openStore, type TestStore } from './store.ts';
import type { DriverSuite } from './suite.ts';

/** What each of three processes does: snapshots on one base and on each other, every second of which goes again. */
const ROUNDS = 4;
const program = (id: number): string => `
  let parent = 'base';
  for (let round = 0; round < ${ROUNDS}; round++) {
    const [key, name] = ['k-${id}-' + round, 'n-${id}-' + round];
    await write(await snapshots.prepare(key, parent), root + '/target-${id}', name);
    if (round % 2 === 0) {
      await snapshots.commit(name, key);
      parent = name;
    } else await snapshots.remove(key);
    await snapshots.view('v-${id}', parent);
    await snapshots.remove('v-${id}');
    await layers.purge();
  }
  await store[Symbol.asyncDispose]();`;

/** Several processes make and remove snapshots in one store, and none disturbs another. */
export function testProcesses(suite: DriverSuite): void {
  const skip = suite.skip ?? false;
  describe(`driver ${suite.name}, used by several processes`, () => {
    const place = environmentDuring(suite);

    test('what each of them commits is there, what they remove is gone', { skip }, async () => {
      const environment = place();
      const root = join(environment.path, 'store');
      const options = (await environment.options?.(join(root, 'layers'))) ?? [];
      const target = join(root, 'target');
      {
        await using store = await openStore(root, suite, options);
        mkdirSync(target);
        await store.snapshots.prepare('k', '');
        await store.snapshots.commit('base', 'k');
      }
      const ids = [1, 2, 3];
      const opening = openingStatements(suite, root, { options });
      // None is left running when another has failed.
      const ended = await Promise.all(ids.map((id) => run(opening + program(id))));
      assert.deepEqual(ended, [0, 0, 0]);
      await using store = await openStore(root, suite, options);
      const wanted = ids.flatMap((id) => [`n-${id}-0`, `n-${id}-2`]);
      assert.deepEqual(await namesIn(store), [...wanted, 'base'].sort());
      for (const id of ids) {
        const [view, names] = [`v-${id}`, [`n-${id}-0`, `n-${id}-2`]];
        await within(await store.snapshots.view(view, names[1]!), target, (path) =>
          assert.deepEqual(readdirSync(path).sort(), names),
        );
        await store.snapshots.remove(view);
      }
      await removeAll(store);
      assert.deepEqual(leftIn(join(root, 'layers')), []);
      assert.deepEqual((await environment.held?.(join(root, 'layers'))) ?? [], []);
      assert.deepEqual(
        readMountinfo().filter((mount) => mount.target.startsWith(`${root}/`)),
        [],
      );
    });
  });
}

/** @returns its exit code */
async function run(source: string): Promise<number | null> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

const namesIn = async ({ snapshots }: TestStore): Promise<string[]> =>
  (await Array.fromAsync(snapshots.list())).map(({ name }) => name).sort();

async function removeAll(store: TestStore): Promise<void> {
  // A parent outlives no child: those that stand on others first.
  for (const name of (await namesIn(store)).reverse()) await store.snapshots.remove(name);
  await store.layers.purge();
}
