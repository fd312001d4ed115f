import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { writeMerged } from '../testing/merged-index.ts';
import { needs } from '../testing/need.ts';
import { StackViews } from '../testing/stack-views.ts';
import { layerStacks } from '../testing/stacks.ts';
import * as t from '../testing/tree.ts';
import { unpackStack } from '../testing/unpack-stack.ts';

const skip = needs('erofs', 'overlay');

const BASE = t.tree({
  'etc/passwd': t.file('root', { mode: 0o640, uid: 70_000, mtimeNs: 123_456_789 }),
  'etc/shadow': t.hardlink('etc/passwd'),
  'usr/lib/a.so': t.file('a'.repeat(5000), { mode: 0o4755 }),
  lib: t.link('usr/lib'),
  'dev/null': t.char(1, 3),
  'dev/pipe': t.fifo({ xattrs: {} }),
  'var/holes': t.sparse(1_000_000, { 512_000: 'x'.repeat(4096) }),
  'var/odd': t.sparse(1_000_000, { 777: 'odd' }),
});

/** Stacks that need more than files over files. */
const STACKS: readonly (readonly [title: string, layers: readonly t.Tree[]])[] = [
  ['a single layer', [BASE]],
  ['a layer that comes twice', [BASE, t.tree({ 'etc/new': t.file('n') }), BASE]],
  ['an opaque root', [BASE, t.tree({ '': t.dir({ opaque: true, mode: 0o700 }), a: t.file('a') })]],
  [
    'files that become directories and back',
    [
      BASE,
      t.tree({ 'etc/passwd': t.dir({ uid: 9 }), 'etc/passwd/x': t.file('x'), usr: t.file('usr') }),
      t.tree({ 'etc/passwd': t.link('shadow'), usr: t.dir(), 'usr/bin': t.dir({ mode: 0o1777 }) }),
    ],
  ],
  [
    'hard links to files of lower layers',
    [
      BASE,
      t.tree([['etc/third', t.hardlink('etc/passwd')]], { parents: 'omit' }),
      t.tree([['etc/fourth', t.hardlink('var/holes')]], { parents: 'omit' }),
    ],
  ],
  [
    'members through links of lower layers, and without their parents',
    [
      BASE,
      t.tree(
        [
          ['lib/b.so', t.file('b')],
          ['etc/.wh.shadow', t.file()],
        ],
        { parents: 'omit' },
      ),
    ],
  ],
];

for (const [title, layers] of STACKS)
  test(`one mount of a merged index shows what overlayfs does: ${title}`, { skip }, async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'merge-'));
    const without = new StackViews(layers, join(work.path, 'without'), { root: false });
    assert.equal((await without.merged()).mounted, await without.overlay());
    const views = new StackViews(layers, join(work.path, 'all'), {});
    const { mounted, union } = await views.merged();
    assert.equal(mounted, union);
    assert.equal(mounted, await views.union('tar'));
  });

test('one mount shows the root as the union of the layers does', { skip }, async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'merge-'));
  let run = 0;
  await fc.assert(
    fc.asyncProperty(layerStacks(6), async (layers) => {
      const views = new StackViews(layers, join(work.path, String(run++)), {});
      const { mounted, union } = await views.merged();
      assert.equal(mounted, union);
      assert.equal(mounted, await views.union('tar'));
    }),
    { numRuns: 15 },
  );
});

/** Each changes one file, adds one, and takes one of an earlier layer away. */
const deep = (depth: number): t.Tree[] =>
  Array.from({ length: depth }, (_, i) =>
    t.tree({
      'd/changed': t.file(`by ${i}`),
      [`d/file-${i}`]: t.file(`of ${i}`.repeat(300)),
      ...(i > 0 && i % 3 === 0 && { [`d/file-${i - 1}`]: t.whiteout() }),
    }),
  );

for (const depth of [200, 600])
  test(`${depth} layers are one mount`, { skip }, async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'merge-'));
    const views = new StackViews(deep(depth), join(work.path, 'views'), {});
    const { mounted, union } = await views.merged();
    assert.equal(mounted, union);
    assert.equal(mounted.split('\n').length, 3 + depth - Math.floor((depth - 1) / 3));
    assert.equal(mounted, await views.union('tar'));
  });

// fsck.erofs 1.8 has room for 256 devices, and writes over others' memory beyond that.
test(
  'fsck.erofs finds nothing wrong with the merged index of 200 layers',
  { skip: needs('erofs-utils') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'merge-'));
    const index = join(work.path, 'merged.erofs');
    const devices = writeMerged(await unpackStack(deep(200).map(t.tarOf), 'tar', work.path), index);
    const fsck = spawnSync('fsck.erofs', [...devices.map((path) => `--device=${path}`), index]);
    assert.equal(fsck.status, 0, String(fsck.stderr));
  },
);
