import assert from 'node:assert/strict';
import { vfs } from '../../snapshot/drivers/vfs.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import { describeDirectory } from '../describe.ts';
import { layerListing } from '../layer-listing.ts';
import { applyEdits, type Edit, randomEdits, RICH_EDITS } from '../random-edits.ts';
import { char, dir, file, link, type Tree, tree } from '../tree.ts';
import type { Checks } from './check.ts';
import { onStage, SOURCE_DATE_EPOCH, type Stage } from './stage.ts';
import type { DriverSuite } from './suite.ts';

/** The model is the oracle: it has a plain directory for everything. */
const MODEL: DriverSuite = { name: 'vfs', module: import.meta.url, open: vfs };

/** Whatever is done to trees, it gives what it gives in plain directories. */
export function checkRandom({ see }: Checks): void {
  for (const seed of [1, 2, 3, 4])
    see(
      `any edits with commits in between show what they show with vfs (seed ${seed})`,
      async (stage) => {
        const edits = editsOf(seed);
        const wanted = await withModel(stage, (model) => sealed(model, edits));
        assert.deepEqual(await sealed(stage, edits), wanted);
      },
    );

  for (const seed of [5, 6, 7, 8])
    see(
      `any edits give the archives that they give with vfs, one on the other (seed ${seed})`,
      async (stage) => {
        const edits = editsOf(seed);
        const wanted = await withModel(stage, (model) => archived(model, edits));
        for (const [at, archive] of (await archived(stage, edits)).entries()) {
          assert.equal(layerListing(archive), layerListing(wanted[at]!));
          assert.ok(archive.equals(wanted[at]!));
        }
      },
    );
}

/**
 * Of four snapshots. Links are made in the last one only: what becomes of the others when one of
 * them is written to in a child is the technology's affair.
 */
function editsOf(seed: number): Edit[][] {
  const types = RICH_EDITS.filter((type) => type !== 'hardlink');
  const all = randomEdits(seed, { snapshots: 3, edits: 20, types });
  return [...all, ...randomEdits(-seed, { snapshots: 1, edits: 20, types: RICH_EDITS })];
}

async function withModel<T>(stage: Stage, run: (model: Stage) => Promise<T>): Promise<T> {
  let result: T;
  const { path } = stage.environment;
  const environment = { path, async [Symbol.asyncDispose]() {} };
  await onStage(MODEL, environment, async (model) => {
    result = await run(model);
  });
  return result!;
}

/** The tree after each commit. */
async function sealed({ commit, view }: Stage, edits: readonly Edit[][]): Promise<string[]> {
  const ids: string[] = [];
  const trees: string[] = [];
  for (const [at, some] of edits.entries()) {
    const id = String(at + 1);
    await commit(id, ids, (root) => applyEdits(root, some));
    ids.unshift(id);
    await view(ids, (root) => trees.push(timeless(root)));
  }
  return trees;
}

/** What was edited counts as edited at one moment. */
const timeless = (root: string): string =>
  describeDirectory(root, { root: false }).replaceAll(/\t(\d+)\.\d{9}\t/g, (all, seconds) =>
    Number(seconds) > SOURCE_DATE_EPOCH ? '\tnow\t' : all,
  );

/** The archive of each snapshot, made on the ones before, which were unpacked. */
async function archived(stage: Stage, edits: readonly Edit[][]): Promise<Buffer[]> {
  const { create, show, diff, remove, unpack } = stage;
  await unpack('base', BASE);
  const ids = ['base'];
  const archives: Buffer[] = [];
  for (const [at, some] of edits.entries()) {
    const active = { id: `active-${at}`, kind: 'active', parents: [...ids] } as const;
    await create(active);
    await show(active, (root) => applyEdits(root, some));
    const archive = await diff(active);
    await remove(active);
    archives.push(archive);
    await unpack(String(at + 1), archive, ids);
    ids.unshift(String(at + 1));
  }
  return archives;
}

const BASE: Tree = tree({
  'a/a': file('base a/a'),
  'a/b/a': file('base a/b/a', { uid: 7, xattrs: { 'user.note': 'x' } }),
  'a/b/c': link('a'),
  'b/a': file('base b/a'),
  'b/b': dir({ mode: 0o1777 }),
  // Where devices cannot exist, only an upper directory knows that one was deleted with all its neighbours.
  ...(!inUserNamespace() && { 'b/null': char(1, 3) }),
  c: file('base c', { mode: 0o4755 }),
});
