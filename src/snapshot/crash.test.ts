import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Leases } from '../db/leases.ts';
import { openDatabase } from '../db/open.ts';
import type { DiffId } from '../oci/digest.ts';
import { inUserNamespace } from '../sys/userns.ts';
import { killAtEveryStep } from '../testing/crash.ts';
import { needs } from '../testing/need.ts';
import { layersOf, listCommitted, listLayers } from './chain.ts';
import { overlay2 } from './drivers/overlay2.ts';
import { openLayerStore } from './layers.ts';
import { openSnapshotter } from './local.ts';

const skip = needs('overlay');
const DIFF_ID = `sha256:${'d'.repeat(64)}` as DiffId;

/** Opens a store as every process does. */
const OPEN = `
  const url = (path) => new URL(path, ${JSON.stringify(import.meta.url)}).href;
  const { openDatabase } = await import(url('../db/open.ts'));
  const { Leases } = await import(url('../db/leases.ts'));
  const { syncStore } = await import(url('../db/sync.ts'));
  const { openLayerStore } = await import(url('./layers.ts'));
  const { openSnapshotter } = await import(url('./local.ts'));
  const { overlay2 } = await import(url('./drivers/overlay2.ts'));
  const open = async (root) => {
    const db = await openDatabase(root);
    const leases = new Leases(db);
    const driver = overlay2(root + '/layers', { userxattr: ${inUserNamespace()} });
    const layers = await openLayerStore(db, leases, driver);
    return { db, leases, layers, snapshots: await openSnapshotter(db, leases, driver) };
  };
  const diffId = '${DIFF_ID}';
  const facts = { diffId, dependent: false, tarSize: 1, indexSize: 1, indexDigest: diffId, stats: {} };`;

/** Opens the store as the next process does: every row has its directory, every directory its row. */
async function check(root: string, verify?: (names: string[]) => void): Promise<void> {
  using db = await openDatabase(root);
  for (const name of ['layers', 'leases']) mkdirSync(join(root, name), { recursive: true });
  const leases = new Leases(db);
  const driver = overlay2(join(root, 'layers'), { userxattr: inUserNamespace() });
  const layers = await openLayerStore(db, leases, driver);
  await using snapshots = await openSnapshotter(db, leases, driver);
  leases.sweep();
  await layers.purge();
  const names = (await Array.fromAsync(snapshots.list())).map(({ name }) => name);
  verify?.(names);
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
  await snapshots.prepare('k', names.includes('n') ? 'n' : '');
}

test('a snapshot may be killed at any step of its life', { skip }, async () => {
  const steps = await killAtEveryStep({
    program: (root) => `${OPEN}
      const { snapshots } = await open(${JSON.stringify(root)});
      beginCounting();
      await snapshots.prepare('k', '');
      await snapshots.commit('n', 'k', { diffId, labels: { x: '1' } });
      await snapshots.view('v', 'n');
      await snapshots.remove('v');
      await snapshots.remove('n');`,
    check: (root) =>
      check(root, (names) => {
        // Never both, and a key that was committed never comes back.
        assert.ok(!(names.includes('k') && names.includes('n')), names.join());
      }),
  });
  assert.ok(steps > 10, `${steps} steps`);
});

test(
  'the building, publishing and removal of a layer may be killed at any step',
  { skip },
  async () => {
    const steps = await killAtEveryStep({
      program: (root) => `${OPEN}
      const { db, leases, layers, snapshots } = await open(${JSON.stringify(root)});
      beginCounting();
      const lease = leases.open('pull');
      lease.hold('layer', [diffId]);
      const layer = await layers.open(diffId, { diffId, lease });
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
      check: (root) => check(root),
    });
    assert.ok(steps > 10, `${steps} steps`);
  },
);
