import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Database } from '../db/database.ts';
import { Leases } from '../db/leases.ts';
import { openDatabase } from '../db/open.ts';
import type { DiffId } from '../oci/digest.ts';
import { unmount } from '../sys/mount/unmount.ts';
import { readMountinfo } from '../sys/mountinfo.ts';
import { inUserNamespace } from '../sys/userns.ts';
import { killAtEveryStep } from '../testing/crash.ts';
import { erofsOf } from '../testing/erofs-driver.ts';
import { within } from '../testing/mounted.ts';
import { needs } from '../testing/need.ts';
import { layersOf, listCommitted, listLayers } from './chain.ts';
import type { Driver } from './driver.ts';
import { overlay2 } from './drivers/overlay2.ts';
import { openLayerStore } from './layers.ts';
import { openSnapshotter } from './local.ts';

/** How a driver is made, in this process and as text in another. */
const DRIVERS: readonly {
  readonly name: string;
  readonly skip: string | false;
  readonly open: (root: string, db: Database) => Driver;
  readonly source: string;
}[] = [
  {
    name: 'overlay2',
    skip: needs('overlay'),
    open: (root) => overlay2(join(root, 'layers'), { userxattr: inUserNamespace() }),
    source: `(await import(url('./drivers/overlay2.ts'))).overlay2(root + '/layers', { userxattr: ${inUserNamespace()} })`,
  },
  {
    name: 'erofs',
    skip: needs('root', 'overlay', 'erofs'),
    open: (root, db) => erofsOf(join(root, 'layers'), db),
    source: `(await import(url('../testing/erofs-driver.ts'))).erofsOf(root + '/layers', db)`,
  },
];
const DIFF_ID = `sha256:${'d'.repeat(64)}` as DiffId;

/** Opens a store as every process does. */
const open = (driver: string): string => `
  const url = (path) => new URL(path, ${JSON.stringify(import.meta.url)}).href;
  const { openDatabase } = await import(url('../db/open.ts'));
  const { Leases } = await import(url('../db/leases.ts'));
  const { syncStore } = await import(url('../db/sync.ts'));
  const { openLayerStore } = await import(url('./layers.ts'));
  const { openSnapshotter } = await import(url('./local.ts'));
  const { performMounts } = await import(url('../sys/mount.ts'));
  const { mkdirSync, readdirSync, renameSync, writeFileSync } = await import('node:fs');
  const open = async (root) => {
    const db = await openDatabase(root);
    const leases = new Leases(db);
    const driver = ${driver};
    const layers = await openLayerStore(db, leases, driver);
    return { db, leases, driver, layers, snapshots: await openSnapshotter(db, leases, driver) };
  };
  const diffId = '${DIFF_ID}';
  const { unpackTar } = await import(url('../testing/unpack-stack.ts'));
  const { file, tarOf, tree } = await import(url('../testing/tree.ts'));
  const tar = tarOf(tree({ file: file('written') }));`;

/** Opens the store as the next process does: every row has its directory, every directory its row. */
async function check(
  root: string,
  openDriver: (root: string, db: Database) => Driver,
  verify?: (names: string[]) => void,
): Promise<void> {
  // A killed process leaves what it mounted for people.
  for (const { target, type } of readMountinfo())
    if (type !== 'erofs' && target.startsWith(root)) unmount(target);
  using db = await openDatabase(root);
  for (const name of ['layers', 'leases']) mkdirSync(join(root, name), { recursive: true });
  const leases = new Leases(db);
  const driver = openDriver(root, db);
  const layers = await openLayerStore(db, leases, driver);
  await using snapshots = await openSnapshotter(db, leases, driver);
  leases.sweep();
  await layers.purge();
  const names = (await Array.fromAsync(snapshots.list())).map(({ name }) => name);
  verify?.(names);
  assert.deepEqual(
    mountedLayers(root).filter(() => !names.includes('k') && !names.includes('v')),
    [],
  );
  for (const name of listCommitted(db)) assert.ok(layersOf(db, name).length > 0);
  const rows = listLayers(db);
  assert.ok(
    rows.every(({ state }) => state === 'ready' || state === 'built' || state === 'active'),
  );
  const directories = readdirSync(join(root, 'layers')).filter((name) => name !== '.trash');
  assert.deepEqual(directories.sort(), rows.map(({ id }) => String(id)).sort());
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
  const mounts = await snapshots.prepare('k', names.includes('n') ? 'n' : '');
  mkdirSync(join(root, 'target'), { recursive: true });
  await within(mounts, join(root, 'target'), (path) => {
    if (names.includes('n')) assert.equal(readFileSync(join(path, 'file'), 'utf8'), 'written');
  });
  await snapshots.remove('k');
  assert.deepEqual(mountedLayers(root), []);
}

const mountedLayers = (root: string): string[] =>
  readMountinfo()
    .filter(({ type, target }) => type === 'erofs' && target.startsWith(root))
    .map(({ target }) => target);

for (const { name, skip, open: openDriver, source } of DRIVERS) {
  test(`${name}: a snapshot may be killed at any step of its life`, { skip }, async () => {
    const steps = await killAtEveryStep({
      program: (root) => `${open(source)}
      const root = ${JSON.stringify(root)};
      const { snapshots } = await open(root);
      mkdirSync(root + '/target');
      beginCounting();
      {
        await using mounted = await performMounts(await snapshots.prepare('k', ''), root + '/target');
        writeFileSync(root + '/target/file', 'written');
      }
      await snapshots.commit('n', 'k', { diffId, labels: { x: '1' } });
      { await using mounted = await performMounts(await snapshots.view('v', 'n'), root + '/target'); }
      await snapshots.remove('v');
      await snapshots.remove('n');`,
      check: (root) =>
        check(root, openDriver, (names) => {
          // Never both, and a key that was committed never comes back.
          assert.ok(!(names.includes('k') && names.includes('n')), names.join());
        }),
    });
    assert.ok(steps > 10, `${steps} steps`);
  });

  test(
    `${name}: the building, publishing and removal of a layer may be killed at any step`,
    { skip },
    async () => {
      const steps = await killAtEveryStep({
        program: (root) => `${open(source)}
      const { db, leases, driver, layers, snapshots } = await open(${JSON.stringify(root)});
      const unpacked = ${JSON.stringify(join(root, 'unpacked'))};
      mkdirSync(unpacked);
      const facts = await unpackTar(tar, { form: driver.form, directory: unpacked });
      beginCounting();
      const lease = leases.open('pull');
      lease.hold('layer', [diffId]);
      const layer = await layers.open(diffId, { diffId, lease });
      for (const name of readdirSync(unpacked)) renameSync(unpacked + '/' + name, layer.directory + '/' + name);
      layers.built(layer.id, facts);
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
      await layers.delete(layer.id);`,
        check: (root) => check(root, openDriver),
      });
      assert.ok(steps > 10, `${steps} steps`);
    },
  );
}
