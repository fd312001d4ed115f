import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import type { DiffId } from '../../oci/digest.ts';
import type { Touched } from '../../snapshot/driver.ts';
import { btrfs } from '../../snapshot/drivers/btrfs.ts';
import { AT_FDCWD, close, O_DIRECTORY, openat } from '../../sys/at.ts';
import { createSubvolume } from '../../sys/btrfs/subvolume.ts';
import { loopFileSystem } from '../../testing/drivers/environment.ts';
import type { Environment } from '../../testing/drivers/suite.ts';
import { needs } from '../../testing/need.ts';
import { applyEdits, isReal, randomEdits, RICH_EDITS } from '../../testing/random-edits.ts';
import { dir, file, hardlink, link, tarOf, tree } from '../../testing/tree.ts';
import { unpackTar } from '../../testing/unpack-stack.ts';
import type { Changes } from './change.ts';
import { treeChanges } from './diff.ts';

const BASE = [
  tree({
    'a/a': file('base a/a'),
    'a/b/a': file('base a/b/a', { uid: 7, xattrs: { 'user.note': 'x' } }),
    'a/b/c': link('a'),
    'b/a': file('base b/a'),
    'b/b': dir({ mode: 0o1777 }),
    'b/c': hardlink('a/a'),
    'c/a/b': file('deep'),
    'c/b/a': file('deep'),
    d: file('base d', { mode: 0o4755 }),
  }),
  tree({ 'a/b/b': file('second a/b/b'), 'c/c/a': file('second'), 'c/c/b': hardlink('c/c/a') }),
];

const skip = needs('btrfs');

describe('of a snapshot that tells where it was touched', () => {
  let environment: Environment;
  before(async () => {
    if (skip === false) environment = await loopFileSystem('btrfs')({ small: false });
  });
  after(() => environment?.[Symbol.asyncDispose]());
  let runs = 0;

  interface Edited {
    readonly touched: Touched | undefined;
    readonly changes: Changes;
    readonly compared: Changes;
  }

  /** Edits a snapshot of the base, and finds out what changed by what it tells and without that. */
  async function edited(edit: (root: string) => void): Promise<Edited> {
    const layers = join(environment.path, String(++runs));
    mkdirSync(layers);
    const driver = btrfs(layers);
    const below: string[] = [];
    for (const [at, members] of BASE.entries()) {
      const id = String(at);
      await driver.create({ id, kind: 'committed', parents: [...below] });
      const parents = below.map((parent) => ({
        directory: join(layers, parent),
        form: driver.form,
        diffId: DIFF_ID,
      }));
      await unpackTar(tarOf(members), { form: 'direct', directory: join(layers, id), parents });
      await driver.filled!({ id, kind: 'committed', parents: [] });
      below.unshift(id);
    }
    const active = { id: 'active', kind: 'active', parents: below } as const;
    await driver.create(active);
    const root = join(layers, 'active/fs');
    edit(root);
    const touched = await driver.touched!(active);
    const options = {
      parents: below.map((id) => join(layers, id)),
      below: join(layers, below[0]!, 'fs'),
    };
    const changes = await treeChanges(root, { ...options, touched });
    const compared = await treeChanges(root, options);
    for (const id of ['active', ...below]) await driver.remove({ ...active, id });
    return { touched, changes, compared };
  }

  test('any edits are found that comparing everything finds', { skip }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(fc.tuple(PATH, PATH), { maxLength: 4 }),
        async (seed, moves) => {
          const [first, second] = randomEdits(seed, { snapshots: 2, edits: 8, types: RICH_EDITS });
          const { changes, compared } = await edited((root) => {
            applyEdits(root, first!);
            for (const [from, to] of moves) moveDirectory(root, from, to);
            applyEdits(root, second!);
          });
          assert.deepEqual(changes, compared);
        },
      ),
      { numRuns: 40 },
    );
  });

  for (const [what, edit] of Object.entries<(root: string) => void>({
    'a directory that another one took the place of': (root) => {
      rmSync(join(root, 'c/b'), { recursive: true });
      renameSync(join(root, 'c/a'), join(root, 'c/b'));
    },
    'a directory that was moved away and back': (root) => {
      renameSync(join(root, 'a'), join(root, 'x'));
      writeFileSync(join(root, 'x/b/a'), 'meanwhile');
      renameSync(join(root, 'x'), join(root, 'a'));
    },
    'a directory that was emptied': (root) => {
      for (const name of readdirSync(join(root, 'c')))
        rmSync(join(root, 'c', name), { recursive: true });
    },
    'a directory in the place of a file, with a file of the same name': (root) => {
      renameSync(join(root, 'd'), join(root, 'e'));
      mkdirSync(join(root, 'd'));
      renameSync(join(root, 'e'), join(root, 'd/d'));
    },
    'a subvolume that somebody made': (root) => {
      const fd = openat(AT_FDCWD, join(root, 'b/b'), O_DIRECTORY);
      createSubvolume(fd, 'own');
      close(fd);
      mkdirSync(join(root, 'b/b/own/deep'));
      writeFileSync(join(root, 'b/b/own/deep/file'), 'x');
    },
    'a file with so many names that their records do not fit into one': (root) => {
      const names = Array.from({ length: 900 }, (_, n) => `${'n'.repeat(100)}${n}`);
      applyEdits(
        root,
        names.map((name) => ({ type: 'hardlink', path: `b/${name}`, from: 'd' })),
      );
    },
  }))
    test(`the changes of ${what} are the same as by comparison`, { skip }, async () => {
      const { changes, compared } = await edited(edit);
      assert.ok(compared.list.length > 0);
      assert.deepEqual(changes, compared);
    });

  test('nothing but the way to what was touched is looked at', { skip }, async () => {
    const { touched, changes } = await edited((root) =>
      writeFileSync(join(root, 'a/b/a'), 'changed'),
    );
    assert.deepEqual(touched!.within(''), { names: ['a'], mayLack: false });
    assert.deepEqual(touched!.within('a'), { names: ['b'], mayLack: false });
    assert.deepEqual(touched!.within('a/b'), { names: ['a'], mayLack: false });
    assert.deepEqual(touched!.within('c/c'), { names: [], mayLack: false });
    assert.deepEqual(
      changes.list.map(({ path }) => path),
      ['a', 'a/b', 'a/b/a'],
    );
  });
});

const DIFF_ID = `sha256:${'d'.repeat(64)}` as DiffId;
/** Few, so that they meet. */
const PATH = fc
  .array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 3 })
  .map((names) => names.join('/'));

/** If there is such a directory, and a place for it; links are never followed. */
function moveDirectory(root: string, from: string, to: string): void {
  const isDirectory = (path: string): boolean =>
    path === '.' || (isReal(root, path) && lstatSync(join(root, path)).isDirectory());
  const isWithin = to.startsWith(`${from}/`) || from.startsWith(`${to}/`) || from === to;
  if (isWithin || !isDirectory(from) || !isDirectory(dirname(to))) return;
  rmSync(join(root, to), { recursive: true, force: true });
  renameSync(join(root, from), join(root, to));
}
