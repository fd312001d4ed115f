import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { showAufs } from '../../testing/aufs-model.ts';
import { describeDirectory } from '../../testing/describe.ts';
import { needs } from '../../testing/need.ts';
import { StackViews } from '../../testing/stack-views.ts';
import { layerStacks } from '../../testing/stacks.ts';
import { dir, file, tarOf, type Tree, tree, whiteout } from '../../testing/tree.ts';
import { unpackStack } from '../../testing/unpack-stack.ts';
import { aufs } from './aufs.ts';

const skip = needs('root');

/** Unpacked layers, base first, below a snapshot. */
async function on(
  layers: readonly Tree[],
  kind: 'active' | 'view',
  use: (given: {
    options: readonly string[];
    /** With what they are mounted as, topmost first; paths from the directory of all layers. */
    branches: readonly (readonly [path: string, permission: string])[];
    root: string;
    source: string;
  }) => void | Promise<void>,
): Promise<void> {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'mica-aufs-'));
  const root = join(scratch.path, 'layers');
  mkdirSync(root);
  await using driver = aufs(root);
  const stack = await unpackStack(layers.map(tarOf), driver.form, root);
  const parents = stack.map(({ directory }) => directory.slice(root.length + 1)).reverse();
  const snapshot = { id: 'own', kind, parents };
  await driver.create(snapshot);
  const [mount, ...others] = await driver.mounts!(snapshot);
  assert.deepEqual([mount?.type, others.length], ['aufs', 0]);
  const branches = mount!.options.flatMap((option) => {
    const [, path, permission] = /^br=(.*)=([^=]*)$/.exec(option) ?? [];
    return path === undefined ? [] : [[path.slice(root.length + 1), permission!] as const];
  });
  await use({ options: mount!.options, branches, root, source: mount!.source });
}

const LAYERS = [tree({ a: file('1'), 'd/x': file('1') }), tree({ b: file('2'), a: whiteout() })];

test(
  'a writable snapshot is one branch to write into, over layers whose whiteouts count',
  { skip },
  () =>
    on(LAYERS, 'active', ({ branches, options, root, source }) => {
      assert.deepEqual(branches, [
        ['own/fs', 'rw'],
        ['layer1/fs', 'ro+wh'],
        ['layer0/fs', 'ro+wh'],
      ]);
      assert.equal(source, join(root, 'own/fs'));
      const simple = options.filter((option) => !option.includes('='));
      assert.deepEqual(simple, ['dio', 'dirperm1', 'noplink']);
      const xino = options.find((option) => option.startsWith('xino='));
      assert.equal(xino === undefined, !existsSync('/dev/shm'));
      // As AUFS makes them, so that the root keeps its time.
      assert.deepEqual(readdirSync(join(root, 'own/fs')).sort(), ['.wh..wh.aufs', '.wh..wh.orph']);
      assert.equal(
        statSync(join(root, 'own/fs')).mtimeMs,
        statSync(join(root, 'layer0/fs')).mtimeMs,
      );
    }),
);

test('a view is of branches that nobody writes into, mounted read-only', { skip }, () =>
  on(LAYERS, 'view', ({ branches, options, root }) => {
    assert.deepEqual(new Set(branches.map(([, permission]) => permission)), new Set(['ro+wh']));
    assert.ok(options.includes('ro'));
    assert.deepEqual(readdirSync(join(root, 'own/fs')), []);
  }),
);

test('no two mounts ask the kernel for the same file of inode numbers', { skip }, async () => {
  const names = new Set<string>();
  for (let n = 0; n < 3; n++)
    await on(LAYERS, 'view', ({ options }) => {
      names.add(options.find((option) => option.startsWith('xino=')) ?? `none ${n}`);
    });
  assert.equal(names.size, 3);
});

test('whiteouts are laid down as archives spell them: empty files that are one', { skip }, () =>
  on(
    [
      tree({ a: file(''), b: file(''), 'd/c': file(''), 'e/f': file('') }),
      tree({ a: whiteout(), b: whiteout(), d: dir(), 'd/c': whiteout(), e: dir({ opaque: true }) }),
    ],
    'view',
    ({ root }) => {
      const top = join(root, 'layer1/fs');
      assert.deepEqual(readdirSync(top).sort(), ['.wh.a', '.wh.b', 'd', 'e']);
      const marks = ['.wh.a', '.wh.b', 'd/.wh.c', 'e/.wh..wh..opq'].map((path) =>
        statSync(join(top, path)),
      );
      for (const { size, mode, ino, nlink } of marks)
        assert.deepEqual([size, mode & 0o7777, ino, nlink], [0, 0o444, marks[0]!.ino, 4]);
    },
  ),
);

test('a directory over a file over a directory shows nothing of the lowest', { skip }, () =>
  on(
    [
      tree({ 'x/lowest': file('1'), 'p/x/lowest': file('1') }),
      tree({ x: file('between'), 'p/x': file('between') }),
      tree({ other: file('') }),
      tree({ 'x/top': file('3'), 'p/x/top': file('3') }),
    ],
    'view',
    async ({ branches, root }) => {
      const paths = branches.map(([path]) => path);
      assert.deepEqual(paths, [
        'own/fs',
        'layer3/fs',
        'layer2/fs',
        'layer1/fs',
        'own/work/layer1',
        'layer0/fs',
      ]);
      await using target = await mkdtempDisposable(join(root, 'shown-'));
      showAufs(
        paths.map((path) => join(root, path)),
        target.path,
      );
      assert.deepEqual(readdirSync(join(target.path, 'x')), ['top']);
      assert.deepEqual(readdirSync(join(target.path, 'p/x')), ['top']);
      assert.equal(readFileSync(join(target.path, 'x/top'), 'utf8'), '3');
    },
  ),
);

test(
  'random layers look through AUFS’ lookup as they do one applied on the other',
  { skip },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'mica-aufs-'));
    let run = 0;
    await fc.assert(
      fc.asyncProperty(layerStacks(), async (layers) => {
        const expected = await new StackViews(layers, join(work.path, String(run++)), {
          root: false,
        }).direct();
        await on(layers, 'view', ({ branches, root }) => {
          const target = join(root, 'shown');
          mkdirSync(target);
          showAufs(
            branches.map(([path]) => join(root, path)),
            target,
          );
          assert.equal(describeDirectory(target, { root: false }), expected);
        });
      }),
      { numRuns: 40 },
    );
  },
);
