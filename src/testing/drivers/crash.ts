import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { DiffId } from '../../oci/digest.ts';
import { layersOf, listCommitted, listLayers } from '../../snapshot/chain.ts';
import { unmount } from '../../sys/mount/unmount.ts';
import { readMountinfo } from '../../sys/mountinfo.ts';
import { killAtEveryStep } from '../crash.ts';
import { within } from '../mounted.ts';
import { environmentDuring } from './check.ts';
import { openingStatements } from './program.ts';
import { openStore } from './store.ts';
import type { DriverSuite, Environment } from './suite.ts';

const DIFF_ID = `sha256:${'d'.repeat(64)}` as DiffId;

const LIFE_OF_A_SNAPSHOT = `
  const target = root + '/target';
  await write(await snapshots.prepare('base', ''), target, 'below');
  await snapshots.commit('b', 'base');
  beginCounting();
  await write(await snapshots.prepare('k', 'b'), target, 'file');
  await snapshots.commit('n', 'k', { diffId: '${DIFF_ID}', labels: { x: '1' } });
  { await using mounted = await performMounts(await snapshots.view('v', 'n'), target); }
  await snapshots.remove('v');
  await snapshots.remove('n');`;

const LIFE_OF_A_LAYER = `
  const diffId = '${DIFF_ID}';
  const plain = tarOf(tree({ file: file('written') }));
  const tar = (await suite.layerOf?.(plain)) ?? plain;
  beginCounting();
  const lease = leases.open('pull');
  lease.hold('layer', [diffId]);
  const layer = await layers.open(diffId, { diffId, lease });
  const into = { form: driver.form, directory: layer.directory, blob: root + '/blob' };
  const held = await holdTree(db, driver, { id: String(layer.id), kind: 'committed', parents: [] }, 'rw');
  const facts = await unpackTar(tar, into);
  await held[Symbol.asyncDispose]();
  await layers.built(layer.id, facts);
  await syncStore(db);
  db.transaction(() => {
    layers.ready([layer.id]);
    snapshots.record('n', { parent: '', layer: layer.id });
  }, { durable: true });
  lease[Symbol.dispose]();
  db.transaction(() => {
    snapshots.forget(['n']);
    layers.condemn(layers.unused(new Set()).map(({ id }) => id));
  }, { durable: true });
  await layers.delete(layer.id);`;

/**
 * Whatever step a process is killed at (-9), the next one finds the store whole, and nothing lost or left.
 * @param at - `driver`: what the store does around a driver is the same for all of them
 */
export function testCrashes(suite: DriverSuite, at: 'driver' | 'anything' = 'driver'): void {
  const marked = at === 'driver';
  const skip = suite.skip ?? false;

  describe(`driver ${suite.name}, killed at any step`, () => {
    const place = environmentDuring(suite);

    const killed = async (
      program: string,
      verify?: (names: readonly string[]) => void,
    ): Promise<void> => {
      const environment = place();
      const options = new Map<string, readonly string[]>();
      const steps = await killAtEveryStep({
        directory: environment.path,
        async program(root) {
          options.set(root, (await environment.options?.(join(root, 'layers'))) ?? []);
          return openingStatements(suite, root, { options: options.get(root)!, marked }) + program;
        },
        check: (root) => check(suite, { root, environment, options: options.get(root)!, verify }),
      });
      assert.ok(steps > 10, `${steps} steps`);
    };

    if (suite.limits?.mountless === undefined)
      test('of the life of a snapshot', { skip }, () =>
        killed(LIFE_OF_A_SNAPSHOT, (names) =>
          // Never both, and a key that was committed never comes back.
          assert.ok(!(names.includes('k') && names.includes('n')), names.join()),
        ),
      );

    test('of the life of a layer', { skip }, () => killed(LIFE_OF_A_LAYER));
  });
}

interface Checked {
  readonly root: string;
  readonly environment: Environment;
  readonly options: readonly string[];
  readonly verify: ((names: readonly string[]) => void) | undefined;
}

/** Opens the store as the next process does: every row has its directory, every directory its row. */
async function check(
  suite: DriverSuite,
  { root, environment, options, verify }: Checked,
): Promise<void> {
  // A killed process leaves what it mounted for people.
  for (const { target } of readMountinfo()) if (target === join(root, 'target')) unmount(target);
  await using store = await openStore(root, suite, options);
  const { db, leases, layers, snapshots } = store;
  leases.sweep();
  await layers.purge();
  const names = (await Array.fromAsync(snapshots.list())).map(({ name }) => name);
  verify?.(names);
  if (!names.includes('k') && !names.includes('v')) assert.deepEqual(mountsBelow(root), []);
  for (const name of listCommitted(db)) assert.ok(layersOf(db, name).length > 0);
  const rows = listLayers(db);
  assert.ok(rows.every(({ state }) => ['ready', 'built', 'active'].includes(state)));
  const directories = readdirSync(join(root, 'layers')).filter((name) => name !== '.trash');
  const ids = rows.map(({ id }) => String(id));
  assert.deepEqual(
    directories.filter((id) => !ids.includes(id)),
    [],
  );
  // A view may do without one.
  if (!names.includes('v')) assert.deepEqual(directories.sort(), ids.sort());
  const held = await environment.held?.(join(root, 'layers'));
  if (held !== undefined && !names.includes('v')) assert.deepEqual([...held].sort(), ids);
  // A file that was only just made stays for a minute: its maker may be about to lock it.
  const dead = readdirSync(join(root, 'leases')).filter(
    (name) => !name.endsWith('.new') && !leases.isAlive(name),
  );
  assert.deepEqual(dead, []);

  // Everything can be done now that could be done before.
  for (const key of ['k', 'v']) if (names.includes(key)) await snapshots.remove(key);
  using lease = leases.open('after the crash');
  const layer = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
  assert.notEqual(layer.state, 'removing');
  await layers.abandon(layer.id);
  if (suite.limits?.mountless !== undefined) return;
  const mounts = await snapshots.prepare(
    'k',
    ['n', 'b'].find((name) => names.includes(name)) ?? '',
  );
  mkdirSync(join(root, 'target'), { recursive: true });
  await within(mounts, join(root, 'target'), (path) => {
    const wanted = ['below', 'file'].slice(
      names.includes('b') ? 0 : 1,
      names.includes('n') ? 2 : 1,
    );
    assert.deepEqual(readdirSync(path).sort(), wanted);
    for (const name of wanted) assert.equal(readFileSync(join(path, name), 'utf8'), 'written');
  });
  await snapshots.remove('k');
  assert.deepEqual(mountsBelow(root), []);
}

const mountsBelow = (root: string): string[] =>
  readMountinfo()
    .map(({ target }) => target)
    .filter((target) => target.startsWith(`${root}/`));
