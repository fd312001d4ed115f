import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Database } from '../db/database.ts';
import { Leases } from '../db/leases.ts';
import { openDatabase } from '../db/open.ts';
import { isCode, MicaError } from '../errors.ts';
import type { DiffId } from '../oci/digest.ts';
import { inUserNamespace } from '../sys/userns.ts';
import { needs } from '../testing/need.ts';
import { layersOf, listCommitted, listLayers } from './chain.ts';
import type { Driver } from './driver.ts';
import { overlay2 } from './drivers/overlay2.ts';
import { tar } from './drivers/tar.ts';
import { LayerStore } from './layers.ts';
import { type LocalSnapshotter, openSnapshotter } from './local.ts';

interface Context extends AsyncDisposable {
  readonly db: Database;
  readonly leases: Leases;
  readonly driver: Driver;
  readonly layers: LayerStore;
  readonly snapshots: LocalSnapshotter;
}

type DriverOf = (layers: string) => Driver;

async function opened(root: string, driverOf: DriverOf): Promise<Context> {
  const db = await openDatabase(root);
  const leases = new Leases(db);
  const driver = driverOf(join(root, 'layers'));
  const layers = new LayerStore(db, leases, driver);
  await layers.recover();
  const snapshots = await openSnapshotter(db, leases, driver);
  return {
    db,
    leases,
    driver,
    layers,
    snapshots,
    async [Symbol.asyncDispose]() {
      await snapshots[Symbol.asyncDispose]();
      db[Symbol.dispose]();
    },
  };
}

const overlay = (layers: string): Driver => overlay2(layers, { userxattr: inUserNamespace() });

const within = async (
  driver: DriverOf,
  run: (context: Context, root: string) => Promise<void>,
): Promise<void> => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-local-'));
  const root = join(dir.path, 'store');
  await using context = await opened(root, driver);
  await run(context, root);
};

const diff = (digit: string): DiffId => `sha256:${digit.repeat(64)}` as DiffId;
const facts = (diffId: DiffId) => ({
  diffId,
  dependent: false,
  tarSize: 1,
  indexSize: 1,
  indexDigest: diff('0'),
  stats: { files: 1 },
});

/** A layer as a pull makes it. */
async function unpacked({ layers, leases, db }: Context, diffId: DiffId): Promise<number> {
  using lease = leases.open('test');
  const layer = await layers.open(diffId, { diffId, lease });
  if (layer.state === 'building') await layers.built(layer.id, facts(diffId));
  db.transaction(() => layers.ready([layer.id]));
  return layer.id;
}

test('a driver that mounts nothing refuses to prepare, and leaves nothing behind', () =>
  within(tar, async ({ snapshots, db }) => {
    for (const verb of ['prepare', 'view'] as const)
      await assert.rejects(snapshots[verb]('k', ''), (error) => isCode(error, 'NOT_IMPLEMENTED'));
    assert.deepEqual(await Array.fromAsync(snapshots.list()), []);
    assert.deepEqual(listLayers(db), []);
  }));

test('recorded layers are committed snapshots, and several may share one layer', () =>
  within(tar, async (context) => {
    const { db, snapshots } = context;
    const [base, top] = [diff('a'), diff('b')];
    const [baseId, topId] = [await unpacked(context, base), await unpacked(context, top)];
    const [one, two] = [diff('1'), diff('2')];
    db.transaction(() => {
      snapshots.record(base, { parent: '', layer: baseId });
      snapshots.record(one, { parent: base, layer: topId });
      snapshots.record(two, { parent: one, layer: baseId });
      snapshots.record(one, { parent: base, layer: topId });
    });
    assert.deepEqual(
      layersOf(db, two).map(({ id }) => id),
      [baseId, topId, baseId],
    );
    assert.deepEqual(listCommitted(db).sort(), [one, two, base].sort());
    assert.equal((await snapshots.stat(one)).parent, base);
    assert.throws(
      () => db.transaction(() => snapshots.record('x', { parent: 'none', layer: topId })),
      {
        code: 'NOT_FOUND',
      },
    );
  }));

test('a snapshot that stands on itself is damage, not a chain without end', () =>
  within(tar, async (context) => {
    const { db, snapshots } = context;
    const layer = await unpacked(context, diff('a'));
    db.transaction(() => {
      snapshots.record('base', { parent: '', layer });
      snapshots.record('top', { parent: 'base', layer });
    });
    for (const [child, parent] of [
      ['base', 'base'],
      ['base', 'top'],
    ]) {
      const sql =
        'update snapshot set parent = (select id from snapshot where name = ?) where name = ?';
      db.run(sql, parent!, child!);
      assert.throws(
        () => layersOf(db, 'top'),
        (error) => isCode(error, 'DATA_LOSS'),
      );
    }
    db.run(`update snapshot set parent = null where name = 'base'`);
    assert.equal(layersOf(db, 'top').length, 2);
  }));

test('a collector forgets snapshots from the top, then takes layers nobody stands on', () =>
  within(tar, async (context, root) => {
    const { db, snapshots, layers, leases } = context;
    const [base, top] = [diff('a'), diff('b')];
    const [baseId, topId] = [await unpacked(context, base), await unpacked(context, top)];
    db.transaction(() => {
      snapshots.record(base, { parent: '', layer: baseId });
      snapshots.record('top', { parent: base, layer: topId });
      assert.deepEqual(layers.unused(new Set()), []);
      assert.deepEqual(snapshots.forget([base]), []);
      assert.deepEqual(snapshots.forget([base, 'top']), ['top', base]);
      assert.deepEqual(
        layers.unused(new Set([base])).map(({ id }) => id),
        [topId],
      );
    });
    using lease = leases.open('uses the base');
    lease.hold('layer', [base]);
    db.transaction(() => layers.condemn(layers.unused(leases.held('layer')).map(({ id }) => id)));
    await layers.delete(topId);
    await layers.delete(baseId);
    await layers.purge();
    assert.deepEqual(
      listLayers(db).map(({ id }) => id),
      [baseId],
    );
    assert.deepEqual(readdirSync(join(root, 'layers')).sort(), ['.trash', String(baseId)]);
  }));

test('two commits of one diffID keep one layer', { skip: needs('overlay') }, () =>
  within(overlay, async ({ snapshots, db, layers }, root) => {
    const diffId = diff('d');
    for (const name of ['one', 'two']) {
      await snapshots.prepare(name, '');
      await snapshots.commit(`n-${name}`, name, { diffId });
    }
    assert.equal(listLayers(db).length, 1);
    assert.equal(layers.find(diffId)?.id, 1);
    await snapshots.remove('n-one');
    assert.equal(existsSync(join(root, 'layers', '1')), true);
    await snapshots.remove('n-two');
    assert.equal(existsSync(join(root, 'layers', '1')), false);
  }),
);

for (const form of ['overlay', 'tar'] as const)
  test(
    `a commit that fails leaves the snapshot as it was, and keeps nobody from the store (${form})`,
    { skip: needs('overlay') },
    () =>
      within(overlay, async ({ driver, leases, db }) => {
        let works = false;
        const refusing: Driver = {
          ...driver,
          form,
          seal: async (snapshot) => {
            if (works) return driver.seal?.(snapshot);
            throw new MicaError('RESOURCE_EXHAUSTED', 'the disk is full');
          },
        };
        await using first = await openSnapshotter(db, leases, refusing);
        await first.prepare('k', '');
        await assert.rejects(first.commit('n', 'k'), { code: 'RESOURCE_EXHAUSTED' });
        assert.equal((await first.stat('k')).kind, 'active');
        // As a process leaves it that was killed in between.
        db.run(`update snapshot set state = 'committing', target = 'n', lease = 'of nobody'`);
        await using second = await openSnapshotter(db, leases, refusing);
        works = true;
        if (form === 'tar') await second.commit('n', 'k');
        else db.run(`update snapshot set lease = 'of nobody'`);
        await using third = await openSnapshotter(db, leases, refusing);
        assert.equal((await third.stat('n')).kind, 'committed');
      }),
  );

test(
  'what another living process is making is left alone, what a dead one left is undone',
  { skip: needs('overlay') },
  () =>
    within(overlay, async ({ driver, leases, db }, root) => {
      const created = Promise.withResolvers<void>();
      const finish = Promise.withResolvers<void>();
      const slow: Driver = {
        ...driver,
        async create(snapshot, options) {
          await driver.create(snapshot, options);
          created.resolve();
          await finish.promise;
        },
      };
      const first = await openSnapshotter(db, leases, slow);
      const preparing = first.prepare('k', '');
      await created.promise;
      {
        await using second = await opened(root, overlay);
        await assert.rejects(second.snapshots.prepare('k', ''), (error) =>
          isCode(error, 'ALREADY_EXISTS'),
        );
        await assert.rejects(second.snapshots.stat('k'), (error) => isCode(error, 'NOT_FOUND'));
      }
      finish.resolve();
      await preparing;
      await first[Symbol.asyncDispose]();
      assert.equal((await first.stat('k')).kind, 'active');
      db.run(`update snapshot set state = 'creating', lease = 'of nobody'`);
      await using third = await opened(root, overlay);
      assert.deepEqual(await Array.fromAsync(third.snapshots.list()), []);
      assert.deepEqual(listLayers(db), []);
    }),
);
