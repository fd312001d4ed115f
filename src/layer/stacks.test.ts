import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { needs } from '../testing/need.ts';
import { StackViews } from '../testing/stack-views.ts';
import { layerStacks } from '../testing/stacks.ts';
import * as t from '../testing/tree.ts';

const VIEWS = [
  'union of extracted layers',
  'union of kept tars',
  'copied parents',
  'merged index',
  'umoci',
] as const;

async function view(views: StackViews, name: (typeof VIEWS)[number]): Promise<string> {
  if (name === 'umoci') return views.umoci();
  if (name === 'copied parents') return views.direct();
  if (name === 'merged index') return (await views.merged()).mounted;
  return views.union(name === 'union of kept tars' ? 'tar' : 'overlay');
}

/** Random stacks, all views. The root's own line differs where no layer describes it. */
test(
  'random layers look the same through overlayfs, the union, copies, one index, and as umoci unpacks them',
  { skip: needs('overlay', 'erofs', 'umoci') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'stacks-'));
    let run = 0;
    await fc.assert(
      fc.asyncProperty(layerStacks(), async (layers) => {
        const views = new StackViews(layers, join(work.path, String(run++)), { root: false });
        const overlay = await views.overlay();
        for (const name of VIEWS) assert.equal(await view(views, name), overlay, name);
      }),
      { numRuns: 15 },
    );
  },
);

const NAME = fc.constantFrom('a', 'b', 'c');
const PATH = fc.array(NAME, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const TARGET = fc.constantFrom('a', 'b', '/c', '../a', 'a/b', '/b/c', './c', 'c/..');
const MODE = fc.constantFrom(0o700, 0o755, 0o1777, 0o4711);

/** One member, wherever it comes and whatever is there. */
const pair = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(
      PATH,
      fc.tuple(fc.constantFrom('', 'x', 'yy'), MODE).map(([text, mode]) => t.file(text, { mode })),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(
      PATH,
      MODE.map((mode) => t.dir({ mode, uid: 7 })),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(
      PATH,
      TARGET.map((target) => t.link(target)),
    ),
  },
  fc.tuple(
    PATH,
    PATH.map((target) => t.hardlink(target)),
  ),
  { weight: 2, arbitrary: fc.tuple(PATH, fc.constant(t.whiteout())) },
  fc.tuple(
    PATH,
    MODE.map((mode) => t.dir({ opaque: true, mode })),
  ),
  fc.tuple(PATH, fc.constantFrom(t.fifo(), t.char(1, 3))),
);
const unruly = fc.array(fc.array(pair, { minLength: 1, maxLength: 8 }), {
  minLength: 1,
  maxLength: 3,
});

async function orRefusal(look: () => Promise<string>): Promise<string> {
  try {
    return await look();
  } catch (error) {
    return `refused: ${(error as { code?: string }).code}`;
  }
}

test(
  'layers that come in any order, through links and over each other, still look the same everywhere',
  { skip: needs('overlay', 'erofs') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'stacks-'));
    let run = 0;
    await fc.assert(
      fc.asyncProperty(unruly, async (stack) => {
        const layers = stack.map((pairs) => t.tree(pairs, { parents: 'omit' }));
        const views = new StackViews(layers, join(work.path, String(run++)), { root: false });
        const overlay = await orRefusal(() => views.overlay());
        assert.equal(await orRefusal(() => views.direct()), overlay, 'copied parents');
        assert.equal(await orRefusal(() => views.union('overlay')), overlay, 'union of files');
        assert.equal(await orRefusal(() => views.union('tar')), overlay, 'union of tars');
        const merged = await orRefusal(async () => (await views.merged()).mounted);
        assert.equal(merged, overlay, 'merged index');
      }),
      { numRuns: 40 },
    );
  },
);

test(
  'unruly layers that umoci accepts look as umoci unpacks them',
  { skip: needs('overlay', 'umoci') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'stacks-'));
    let run = 0;
    await fc.assert(
      fc.asyncProperty(unruly, async (stack) => {
        const layers = stack.map((pairs) => t.tree(pairs, { parents: 'omit' }));
        // Directories that no member describes get the present time from umoci.
        const options = { root: false, directoryTimes: false };
        const views = new StackViews(layers, join(work.path, String(run++)), options);
        const umoci = await orRefusal(() => views.umoci());
        if (!umoci.startsWith('refused')) assert.equal(await views.overlay(), umoci);
      }),
      { numRuns: 12 },
    );
  },
);
