import assert from 'node:assert/strict';
import { existsSync, readdirSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Database } from '../db/database.ts';
import { Leases } from '../db/leases.ts';
import { openDatabase } from '../db/open.ts';
import { unmount } from '../sys/mount/unmount.ts';
import { isCode } from '../errors.ts';
import type { DiffId } from '../oci/digest.ts';
import { holdShared, performMounts } from '../sys/mount.ts';
import { readMountinfo } from '../sys/mountinfo.ts';
import { imageFiles } from '../testing/image-files.ts';
import { within } from '../testing/mounted.ts';
import { needs } from '../testing/need.ts';
import type { Driver, LayerFacts } from './driver.ts';
import { LayerStore } from './layers.ts';
import { type LocalSnapshotter, openSnapshotter } from './local.ts';
import { holdTree } from './trees.ts';

/** Trees that are file systems of their own: mounted while somebody fills, reads or shows them. */
const skip = needs('root', 'loop');

interface Context {
  readonly root: string;
  readonly db: Database;
  readonly leases: Leases;
  readonly driver: Driver;
  readonly layers: LayerStore;
  readonly snapshots: LocalSnapshotter;
  /** Ids of the trees that are mounted. */
  readonly mounted: () => string[];
  /** A layer that was filled with a file of its name. */
  readonly fill: (name: string, parents?: readonly number[]) => Promise<number>;
}

const treesIn = (root: string): string[] =>
  readMountinfo().flatMap(({ target }) =>
    target.startsWith(join(root, 'run/trees/')) ? [target.slice(root.length + 11)] : [],
  );

/** Ends everything that is mounted below a directory. */
function unmountAll(root: string): void {
  for (const { target } of readMountinfo().toReversed())
    if (target.startsWith(root)) unmount(target, { detach: true });
}

async function inStore(run: (context: Context) => Promise<void>): Promise<void> {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'mica-trees-'));
  const root = join(scratch.path, 'store');
  await using undo = new AsyncDisposableStack();
  const db = undo.use(await openDatabase(root));
  const leases = new Leases(db);
  const driver = imageFiles(join(root, 'layers'));
  undo.defer(() => driver.release?.(() => []));
  undo.defer(() => unmountAll(scratch.path));
  const layers = new LayerStore(db, leases, driver);
  await using snapshots = await openSnapshotter(db, leases, driver);
  const fill = async (name: string, parents: readonly number[] = []): Promise<number> => {
    using lease = leases.open('fill');
    const layer = await layers.open(name, { diffId: undefined, parents, lease });
    writeFileSync(join(layer.directory, 'fs', name), name);
    await layers.built(layer.id, FACTS);
    return layer.id;
  };
  await run({
    root,
    db,
    leases,
    driver,
    layers,
    snapshots,
    mounted: () => treesIn(root).sort(),
    fill,
  });
}

const FACTS: LayerFacts = {
  diffId: `sha256:${'d'.repeat(64)}` as DiffId,
  dependent: false,
  tarSize: 1,
  indexSize: 1,
  indexDigest: `sha256:${'e'.repeat(64)}`,
  stats: {},
};
const layer = (id: number | string) =>
  ({ id: String(id), kind: 'committed', parents: [] }) as const;

test('a tree is mounted while it is filled, and then while somebody holds it', { skip }, () =>
  inStore(async ({ db, driver, layers, leases, mounted }) => {
    using lease = leases.open('test');
    const { id, directory } = await layers.open('a', { diffId: undefined, lease });
    assert.deepEqual(mounted(), ['1']);
    writeFileSync(join(directory, 'fs', 'x'), 'x');
    await layers.built(id, FACTS);
    assert.deepEqual([mounted(), existsSync(join(directory, 'fs', 'x'))], [[], false]);
    const first = await holdTree(db, driver, layer(id));
    {
      await using _ = await holdTree(db, driver, layer(id));
      await first[Symbol.asyncDispose]();
      assert.equal(readFileSync(join(directory, 'fs', 'x'), 'utf8'), 'x');
      assert.throws(() => writeFileSync(join(directory, 'fs', 'y'), ''), { code: 'EROFS' });
    }
    assert.deepEqual(mounted(), []);
  }),
);

test('a layer that is filled begins with the files of its parent', { skip }, () =>
  inStore(async ({ db, driver, fill, root }) => {
    const base = await fill('base');
    const top = await fill('top', [base]);
    await using _ = await holdTree(db, driver, layer(top));
    assert.deepEqual(readdirSync(join(root, 'layers', String(top), 'fs')), ['base', 'top']);
  }),
);

test('what a dead builder left mounted goes with its layer', { skip }, () =>
  inStore(async ({ db, leases, driver, mounted, root }) => {
    const dead = leases.open('dies');
    const store = new LayerStore(db, leases, driver);
    const { directory } = await store.open('a', { diffId: undefined, lease: dead });
    writeFileSync(join(directory, 'fs', 'half'), '');
    dead[Symbol.dispose]();
    await new LayerStore(db, leases, driver).recover();
    assert.deepEqual([mounted(), existsSync(directory)], [[], false]);
    assert.deepEqual(readdirSync(join(root, 'run/trees')), []);
  }),
);

test('a mount that nobody holds any more ends when the store is opened again', { skip }, () =>
  inStore(async ({ db, leases, driver, fill, mounted }) => {
    const id = await fill('a');
    // As a process leaves it that is killed.
    const held = await holdShared(await driver.tree!(layer(id), 'ro'));
    held[Symbol.dispose]();
    assert.deepEqual(mounted(), ['1']);
    await using _ = await openSnapshotter(db, leases, driver);
    assert.deepEqual(mounted(), []);
  }),
);

test('the tree of a store that was deleted is not taken for this one', { skip }, () =>
  inStore(async ({ db, driver, fill, root }) => {
    const [one, two] = [await fill('one'), await fill('two')];
    const { target: _point, ...foreign } = await driver.tree!(layer(one), 'ro');
    const { target } = await driver.tree!(layer(two), 'ro');
    mkdirSync(target, { recursive: true });
    await performMounts([foreign], target);
    assert.deepEqual(readdirSync(target), ['one']);
    await using _ = await holdTree(db, driver, layer(two));
    assert.deepEqual(readdirSync(join(root, 'layers', String(two), 'fs')), ['two']);
  }),
);

test(
  'what a snapshot shows stays mounted, and is neither committed nor removed while it is',
  { skip },
  () =>
    inStore(async ({ snapshots, mounted, root }) => {
      const mounts = await snapshots.prepare('k', '');
      const target = join(root, 'here');
      mkdirSync(target);
      {
        await using _ = await performMounts(mounts, target);
        writeFileSync(join(target, 'x'), 'x');
        for (const attempt of [snapshots.commit('n', 'k'), snapshots.remove('k')])
          await assert.rejects(attempt, (error) => isCode(error, 'FAILED_PRECONDITION'));
      }
      assert.deepEqual(mounted(), ['1']);
      await snapshots.commit('n', 'k');
      assert.deepEqual(mounted(), []);
      const view = await snapshots.view('v', 'n');
      await within(view, target, (path) => assert.deepEqual(readdirSync(path), ['x']));
      assert.deepEqual(mounted(), ['1']);
      await snapshots.remove('v');
      assert.deepEqual(mounted(), []);
    }),
);
