import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Database } from '../db/database.ts';
import { Leases } from '../db/leases.ts';
import { openDatabase } from '../db/open.ts';
import { isCode } from '../errors.ts';
import type { DiffId } from '../oci/digest.ts';
import { needs } from '../testing/need.ts';
import { listLayers } from './chain.ts';
import { tar } from './drivers/tar.ts';
import { vfs } from './drivers/vfs.ts';
import type { LayerFacts } from './driver.ts';
import { LayerStore } from './layers.ts';

interface Context {
  readonly db: Database;
  readonly leases: Leases;
  readonly layers: LayerStore;
  readonly root: string;
}

async function within(
  run: (context: Context, reopen: () => Promise<LayerStore>) => Promise<void>,
  driverOf = tar,
): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-layers-'));
  const root = join(dir.path, 'store');
  using db = await openDatabase(root);
  const leases = new Leases(db);
  const driver = driverOf(join(root, 'layers'));
  const layers = new LayerStore(db, leases, driver);
  await run({ db, leases, layers, root }, async () => {
    const again = new LayerStore(db, new Leases(db), driver);
    await again.recover();
    return again;
  });
}

const DIFF_ID = `sha256:${'d'.repeat(64)}` as DiffId;
const FACTS: LayerFacts = {
  diffId: DIFF_ID,
  dependent: false,
  tarSize: 10_240,
  indexSize: 4096,
  indexDigest: `sha256:${'e'.repeat(64)}`,
  stats: { files: 3 },
};

test('a layer is built once, then found by everybody', () =>
  within(async ({ db, leases, layers }) => {
    using lease = leases.open('test');
    const first = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    assert.deepEqual([first.state, readdirSync(first.directory)], ['building', []]);
    assert.equal(layers.find(DIFF_ID), undefined);
    await layers.built(first.id, FACTS);
    const second = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    assert.deepEqual([second.id, second.state], [first.id, 'built']);
    db.transaction(() => layers.ready([first.id]));
    const third = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    assert.deepEqual([third.id, third.state, third.facts], [first.id, 'ready', FACTS]);
    assert.deepEqual(layers.find(DIFF_ID)?.facts, FACTS);
  }));

test('who comes second waits for the builder, in this process or another', () =>
  within(async ({ leases, layers }) => {
    using lease = leases.open('test');
    const first = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    const waited = Promise.withResolvers<void>();
    using other = leases.open('other');
    const second = layers.open(DIFF_ID, {
      diffId: DIFF_ID,
      lease: other,
      onWait: () => waited.resolve(),
    });
    await waited.promise;
    await layers.built(first.id, FACTS);
    assert.deepEqual([(await second).id, (await second).state], [first.id, 'built']);
  }));

test('a layer whose key is known at its end is found then, and is the same one if that was there', () =>
  within(async ({ leases, layers, root }) => {
    using lease = leases.open('test');
    const first = await layers.begin({ lease });
    assert.deepEqual([first.state, first.key], ['building', undefined]);
    assert.equal(await layers.builtAs(first.id, DIFF_ID, FACTS), first.id);
    assert.deepEqual(layers.find(DIFF_ID)?.facts, FACTS);
    const second = await layers.begin({ lease });
    assert.equal(await layers.builtAs(second.id, DIFF_ID, FACTS), first.id);
    assert.ok(!existsSync(join(root, 'layers', String(second.id))));
  }));

test('a layer whose key turns out to be one that others are building has none', () =>
  within(async ({ db, leases, layers }) => {
    using lease = leases.open('test');
    const open = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    const begun = await layers.begin({ lease });
    assert.equal(await layers.builtAs(begun.id, DIFF_ID, FACTS), begun.id);
    assert.equal(layers.find(DIFF_ID), undefined);
    await layers.built(open.id, FACTS);
    assert.equal(layers.find(DIFF_ID)?.id, open.id);
    db.transaction(() => layers.ready([begun.id, open.id]));
  }));

test('what a dead process had begun is removed', () =>
  within(async ({ leases, layers, root }, reopen) => {
    const lease = leases.open('test');
    const { id } = await layers.begin({ lease });
    lease[Symbol.dispose]();
    await reopen();
    assert.ok(!existsSync(join(root, 'layers', String(id))));
  }));

test('waiting for a layer can be aborted', () =>
  within(async ({ leases, layers }) => {
    using lease = leases.open('test');
    await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    const [stop, reason] = [new AbortController(), new Error('enough')];
    const onWait = (): void => stop.abort(reason);
    await assert.rejects(
      layers.open(DIFF_ID, { diffId: DIFF_ID, lease, onWait, signal: stop.signal }),
      reason,
    );
  }));

test('what its builder gave up is built by the next', () =>
  within(async ({ leases, layers, db }) => {
    using lease = leases.open('test');
    const first = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    writeFileSync(join(first.directory, 'half'), '');
    await layers.abandon(first.id);
    await layers.abandon(first.id);
    assert.deepEqual(listLayers(db), []);
    const second = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    assert.deepEqual([second.state, readdirSync(second.directory)], ['building', []]);
    await assert.rejects(layers.built(first.id, FACTS), (error) =>
      isCode(error, 'FAILED_PRECONDITION'),
    );
  }));

test('what a dead process was building is emptied and built by the next', () =>
  within(async ({ leases, layers, db }) => {
    const dead = leases.open('dies');
    const first = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease: dead });
    writeFileSync(join(first.directory, 'half'), '');
    dead[Symbol.dispose]();
    using lease = leases.open('lives');
    const second = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    assert.deepEqual([second.state, readdirSync(second.directory)], ['building', []]);
    await layers.built(second.id, FACTS);
    assert.equal(listLayers(db).length, 1);
  }));

test('opening the store removes what dead processes were building, and nothing else', () =>
  within(async ({ leases, layers, db, root }, reopen) => {
    const keys = ['dead', 'alive', 'built', 'condemned', 'other boot'];
    const dead = leases.open('dies');
    using alive = leases.open('lives');
    const ids = new Map<string, number>();
    for (const key of keys) {
      const lease = key === 'alive' ? alive : dead;
      const { id } = await layers.open(key, { diffId: DIFF_ID, lease });
      ids.set(key, id);
      if (['built', 'condemned', 'other boot'].includes(key)) await layers.built(id, FACTS);
    }
    db.transaction(() => layers.condemn([ids.get('condemned')!]));
    db.run(`update layer set boot = 'another' where key = 'other boot'`);
    dead[Symbol.dispose]();
    const again = await reopen();
    const left = listLayers(db).map(({ key }) => key);
    assert.deepEqual(left, ['alive', 'built']);
    assert.deepEqual(
      readdirSync(join(root, 'layers')).sort(),
      ['.trash', ...['alive', 'built'].map((key) => String(ids.get(key)))].sort(),
    );
    await again.purge();
    assert.deepEqual(readdirSync(join(root, 'layers', '.trash')), []);
  }));

test('what was built before the machine stopped is built again', () =>
  within(async ({ leases, layers, db }) => {
    using lease = leases.open('test');
    const first = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    await layers.built(first.id, FACTS);
    db.run(`update layer set boot = 'another', lease = 'of nobody'`);
    assert.equal(layers.find(DIFF_ID), undefined);
    assert.throws(() => db.transaction(() => layers.ready([first.id])), { code: 'NOT_FOUND' });
    const second = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    assert.equal(second.state, 'building');
    assert.notEqual(second.id, first.id);
  }));

test('a condemned layer is built anew under another number', () =>
  within(async ({ leases, layers, db }) => {
    using lease = leases.open('test');
    const first = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    await layers.built(first.id, FACTS);
    db.transaction(() => layers.condemn([first.id]));
    const second = await layers.open(DIFF_ID, { diffId: DIFF_ID, lease });
    assert.equal(second.state, 'building');
    await layers.delete(first.id);
    await layers.delete(second.id);
    assert.equal(existsSync(first.directory), false);
    assert.equal(existsSync(second.directory), true);
  }));

test('it is known that layers of a diffID depend on their parents', () =>
  within(async ({ leases, layers }) => {
    using lease = leases.open('test');
    assert.equal(layers.isDependent(DIFF_ID), false);
    const { id } = await layers.open('chain', { diffId: DIFF_ID, lease });
    await layers.built(id, { ...FACTS, dependent: true });
    assert.equal(layers.isDependent(DIFF_ID), true);
  }));

test('a driver of whole trees gets a copy of the parent to build on', { skip: needs('root') }, () =>
  within(async ({ leases, layers }) => {
    using lease = leases.open('test');
    const base = await layers.open('base', { diffId: DIFF_ID, lease });
    writeFileSync(join(base.directory, 'fs', 'x'), '');
    await layers.built(base.id, FACTS);
    const top = await layers.open('top', { diffId: DIFF_ID, lease, parents: [base.id] });
    assert.deepEqual(readdirSync(join(top.directory, 'fs')), ['x']);
  }, vfs),
);
