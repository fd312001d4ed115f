import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Database } from '../db/database.ts';
import { type Lease, Leases } from '../db/leases.ts';
import { setMeta } from '../db/meta.ts';
import { openDatabase } from '../db/open.ts';
import type { DiffId } from '../oci/digest.ts';
import { layersOf, listLayers } from './chain.ts';
import type { Driver, LayerFacts } from './driver.ts';
import { tar } from './drivers/tar.ts';
import { LayerStore } from './layers.ts';
import { abandonMigration, awaitedLayers, beginMigration, changeDriver } from './migration.ts';
import { record } from './record.ts';

const DIFF_IDS = ['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}` as DiffId);
const factsOf = (diffId: DiffId): LayerFacts => ({
  diffId,
  dependent: false,
  tarSize: 10_240,
  indexSize: 4096,
  indexDigest: `sha256:${'e'.repeat(64)}`,
  stats: {},
});

interface Context {
  readonly db: Database;
  readonly lease: Lease;
  readonly own: { readonly driver: Driver; readonly layers: LayerStore };
  /** Another driver; the same technology does. */
  readonly other: { readonly driver: Driver; readonly layers: LayerStore };
}

/** A store of driver tar with two layers, on the first of which a snapshot stands. */
async function within(run: (context: Context) => Promise<void>): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-migration-'));
  using db = await openDatabase(join(dir.path, 'store'));
  const leases = new Leases(db);
  using lease = leases.open('test');
  const driver = tar(join(db.root, 'layers'));
  const foreign: Driver = { ...driver, name: 'vfs', form: 'direct' };
  setMeta(db, 'driver', 'tar');
  setMeta(db, 'form', 'tar');
  const own = { driver, layers: new LayerStore(db, leases, driver) };
  const other = { driver: foreign, layers: new LayerStore(db, leases, foreign) };
  for (const diffId of DIFF_IDS) await make(own.layers, lease, db, diffId);
  db.transaction(() =>
    record(db, DIFF_IDS[0]!, { parent: '', layer: own.layers.find(DIFF_IDS[0]!)!.id }),
  );
  await run({ db, lease, own, other });
}

async function make(
  layers: LayerStore,
  lease: Lease,
  db: Database,
  diffId: DiffId,
): Promise<number> {
  const { id } = await layers.open(diffId, { diffId, lease });
  await layers.built(id, factsOf(diffId));
  db.transaction(() => layers.ready([id]));
  return id;
}

const unused = (db: Database, layers: LayerStore): number[] =>
  db.transaction(() => layers.unused(new Set()).map(({ id }) => id));

test('layers of another driver are made during a migration to it only', () =>
  within(async ({ db, lease, own, other }) => {
    await assert.rejects(make(other.layers, lease, db, DIFF_IDS[0]!), { code: 'CONFLICT' });
    db.transaction(() => beginMigration(db, other.driver));
    const made = await make(other.layers, lease, db, DIFF_IDS[0]!);
    db.transaction(() =>
      changeDriver(db, { from: own.driver, to: other.driver, places: new Map([[1, made]]) }),
    );
    // Who opened the store before has the old driver still.
    const late = `sha256:${'c'.repeat(64)}` as DiffId;
    await assert.rejects(make(own.layers, lease, db, late), { code: 'CONFLICT' });
  }));

test('what is made for a migration is no garbage while a snapshot awaits it', () =>
  within(async ({ db, lease, other, own }) => {
    const [, loose] = listLayers(db).map(({ id }) => id);
    db.transaction(() => beginMigration(db, other.driver));
    const [awaited, spare] = [
      await make(other.layers, lease, db, DIFF_IDS[0]!),
      await make(other.layers, lease, db, `sha256:${'c'.repeat(64)}` as DiffId),
    ];
    assert.deepEqual(awaitedLayers(db), [awaited]);
    assert.deepEqual(unused(db, own.layers), [loose, spare]);
    const gone = db.transaction(() => abandonMigration(db));
    assert.deepEqual(gone, [awaited, spare]);
    assert.deepEqual(awaitedLayers(db), []);
  }));

test('a removed layer is removed by the driver that its row names', () =>
  within(async ({ db, lease, own, other }) => {
    db.transaction(() => beginMigration(db, other.driver));
    const id = await make(other.layers, lease, db, DIFF_IDS[0]!);
    // Only vfs looks for files here, and removes the directory all the same.
    mkdirSync(join(db.root, 'layers', String(id), 'fs'));
    db.transaction(() => abandonMigration(db));
    await own.layers.recover();
    assert.ok(!existsSync(join(db.root, 'layers', String(id))));
    assert.ok(!listLayers(db).some((row) => row.id === id));
  }));

test('what an unknown driver has to remove stays for a version that knows it', () =>
  within(async ({ db, own }) => {
    db.run(`update layer set driver = 'later', state = 'removing' where key = ?`, DIFF_IDS[1]!);
    await own.layers.recover();
    assert.deepEqual(
      listLayers(db).map(({ state }) => state),
      ['ready', 'removing'],
    );
  }));

test('a change of the driver moves every snapshot, or none', () =>
  within(async ({ db, lease, own, other }) => {
    db.transaction(() => beginMigration(db, other.driver));
    const made = await make(other.layers, lease, db, DIFF_IDS[0]!);
    const [before] = layersOf(db, DIFF_IDS[0]!);
    const change = (places: ReadonlyMap<number, number> | undefined): number[] =>
      db.transaction(() => changeDriver(db, { from: own.driver, to: other.driver, places }));
    assert.throws(() => change(new Map()), { code: 'CONFLICT' });
    assert.deepEqual(layersOf(db, DIFF_IDS[0]!), [before]);
    assert.equal(change(new Map([[1, made]])).length, 2);
    assert.deepEqual(
      layersOf(db, DIFF_IDS[0]!).map(({ id, driver, form }) => ({ id, driver, form })),
      [{ id: made, driver: 'vfs', form: 'direct' }],
    );
  }));

test('between drivers that keep layers alike, layers stay and change their name', () =>
  within(async ({ db, own }) => {
    const to: Driver = { ...own.driver, name: 'erofs' };
    const before = listLayers(db).map(({ id }) => id);
    assert.deepEqual(
      db.transaction(() => changeDriver(db, { from: own.driver, to, places: undefined })),
      [],
    );
    assert.deepEqual(
      listLayers(db).map(({ id, driver }) => [id, driver]),
      before.map((id) => [id, 'erofs']),
    );
  }));
