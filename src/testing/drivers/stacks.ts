import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isCode } from '../../errors.ts';
import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../../oci/whiteout.ts';
import { StackModel } from '../stack-model.ts';
import { dir, file, link, type Tree, tree, whiteout } from '../tree.ts';
import type { Checks } from './check.ts';
import type { Stage } from './stage.ts';
import type { DriverSuite } from './suite.ts';

/** Puts a layer on others. */
type Put = (stage: Stage, id: string, layer: Tree, on: readonly string[]) => Promise<void>;

/** What layers mean that lie on each other. */
export function checkStacks({ see }: Checks, { limits }: DriverSuite): void {
  const WAYS: readonly (readonly [title: string, put: Put])[] = [
    ['in layers that are unpacked', ({ unpack }, id, layer, on) => unpack(id, layer, on)],
    [
      'by what is deleted and replaced in mounts',
      ({ commit }, id, layer, on) => commit(id, on, (root) => perform(layer, root)),
    ],
    [
      'in layers of both kinds',
      ({ unpack, append }, id, layer, on) =>
        on.length % 2 === 0
          ? unpack(id, layer, on)
          : append(id, on, (root) => perform(layer, root)),
    ],
  ];
  for (const [title, put] of WAYS)
    see(`what is below is hidden at every level of a stack, ${title}`, async (stage) => {
      const model = new StackModel();
      const ids: string[] = [];
      for (const [at, layer] of LEVELS.entries()) {
        const id = String(at + 1);
        await put(stage, id, layer, ids);
        ids.unshift(id);
        model.apply(layer);
        await stage.view(ids, (root) => assert.deepEqual(contentOf(root), modelled(model), id));
      }
      // Those below are as they were.
      await stage.view(ids.slice(-1), (root) => assert.ok(existsSync(join(root, 'd/gone'))));
    });

  see('a directory of a parent is renamed, with what parents hold in it', async (stage) => {
    const { commit, view } = stage;
    await commit('1', [], (root) => writeDeep(root, 'old/deep/file', 'x'));
    await commit('2', ['1'], (root) => move(root, 'old', 'new'));
    await commit('3', ['2', '1'], (root) => {
      writeDeep(root, 'old/deep/other', 'y');
      move(root, 'new/deep', 'old/deep/inner');
    });
    await view(['2', '1'], (root) => assert.deepEqual(contentOf(root), { 'new/deep/file': 'x' }));
    await view(['3', '2', '1'], (root) =>
      assert.deepEqual(contentOf(root), { 'old/deep/inner/file': 'x', 'old/deep/other': 'y' }),
    );
  });

  see(
    'what is renamed over a directory or a file of a parent takes its place, and shows nothing of it',
    async (stage) => {
      const { commit, view } = stage;
      await commit('1', [], (root) => {
        for (const path of ['full/a', 'full/b/c', 'file', 'empty-too/x'])
          writeDeep(root, path, 'old');
        mkdirSync(join(root, 'empty'));
      });
      await commit('2', ['1'], (root) => {
        writeDeep(root, 'fresh/new', 'new');
        writeDeep(root, 'replacement', 'new');
        assert.throws(() => renameSync(join(root, 'fresh'), join(root, 'full')), isNotEmpty);
        assert.throws(() => rmdirSync(join(root, 'full')), isNotEmpty);
        rmSync(join(root, 'full/a'));
        rmSync(join(root, 'full/b'), { recursive: true });
        renameSync(join(root, 'fresh'), join(root, 'full'));
        renameSync(join(root, 'replacement'), join(root, 'file'));
        mkdirSync(join(root, 'more'));
        renameSync(join(root, 'more'), join(root, 'empty'));
        rmSync(join(root, 'empty-too/x'));
        rmdirSync(join(root, 'empty-too'));
      });
      const wanted = { 'full/new': 'new', file: 'new' };
      await view(['2', '1'], (root) => {
        assert.deepEqual(contentOf(root), wanted);
        assert.deepEqual(readdirSync(root).sort(), ['empty', 'file', 'full']);
      });
      await commit('3', ['2', '1'], (root) => writeDeep(root, 'full/b/d', 'newer'));
      await view(['3', '2', '1'], (root) =>
        assert.deepEqual(contentOf(root), { ...wanted, 'full/b/d': 'newer' }),
      );
    },
  );

  see('128 and 500 layers show what each of them brought, and can be written on', async (stage) => {
    const { driver, append, create, unpack, view } = stage;
    const { depth, tried } = limits ?? {};
    assert.equal(driver.depth, depth?.layers, 'what it says of itself');
    const most = Math.min(500, depth?.layers ?? 500, tried?.layers ?? 500);
    const ids: string[] = [];
    const wanted: string[] = [];
    for (let n = 1; n <= most; n++) {
      const id = String(n);
      // The mounted ones are the dear ones.
      if (n === 127 || n === most - 1)
        await append(id, ids, (root) => writeFileSync(join(root, id), ''));
      else await unpack(id, n % 170 === 1 ? tree({ [`of-${id}`]: file(id) }) : [], ids);
      if (n === 127 || n === most - 1) wanted.push(id);
      else if (n % 170 === 1) wanted.push(`of-${id}`);
      ids.unshift(id);
      if (n === 128 || n === most)
        await view(ids, (root) => assert.deepEqual(readdirSync(root).sort(), wanted.toSorted()));
    }
    if (most !== depth?.layers) return;
    const deep = { id: 'deep', kind: 'view', parents: ['more', ...ids] } as const;
    await unpack('more', [], ids);
    await assert.rejects(
      (async () => {
        await create(deep);
        await driver.mounts!(deep);
      })(),
      (error) => isCode(error, 'NOT_IMPLEMENTED'),
    );
  });
}

const isNotEmpty = ({ code }: NodeJS.ErrnoException): boolean =>
  code === 'ENOTEMPTY' || code === 'EEXIST';

/** Every way to hide, in layers one on the other; what hid is hidden in its turn, and comes back. */
const LEVELS: readonly Tree[] = [
  tree({
    'd/gone': file('1'),
    'd/kept': file('1'),
    'd/sub/a': file('1'),
    'd/sub/b': file('1'),
    'o/a': file('1'),
    'o/deep/b': file('1'),
    'to-dir': file('1'),
    'to-file/x': file('1'),
    link: link('d'),
  }),
  tree({
    'd/sub': whiteout(),
    'o/deep': dir({ opaque: true }),
    'o/deep/c': file('2'),
    'to-dir/y': file('2'),
    'to-file': file('2'),
  }),
  tree({ 'd/gone': whiteout(), 'd/sub/c': file('3'), o: dir({ opaque: true }), link: whiteout() }),
  tree({
    'd/gone': file('4'),
    'd/sub/a': file('4'),
    'o/deep/b': file('4'),
    'to-dir': whiteout(),
    'to-file': whiteout(),
    link: file('4'),
  }),
  tree({ d: dir({ opaque: true }), 'd/sub/d': file('5'), 'to-file/z': file('5'), o: whiteout() }),
  tree({ 'o/deep/e': file('6'), 'd/sub': whiteout(), 'd/gone': file('6'), 'to-dir': link('o') }),
];

/** Does with a mounted tree what a layer does with those below it. */
function perform(layer: Tree, root: string): void {
  const marks = layer.map(({ name }) => name).filter((name) => name.includes(WHITEOUT_PREFIX));
  for (const mark of marks) {
    const slash = mark.lastIndexOf('/') + 1;
    const [directory, name] = [mark.slice(0, slash), mark.slice(slash)];
    const gone =
      name === OPAQUE_WHITEOUT
        ? readdirSync(join(root, directory))
        : [name.slice(WHITEOUT_PREFIX.length)];
    for (const one of gone) rmSync(join(root, directory, one), { recursive: true, force: true });
  }
  for (const { name, type, content, linkName } of layer) {
    if (name.includes(WHITEOUT_PREFIX)) continue;
    const path = join(root, name);
    if (type === 'directory') makeDirectory(path);
    else {
      rmSync(path, { recursive: true, force: true });
      if (type === 'symlink') symlinkSync(linkName, path);
      else writeFileSync(path, content);
    }
  }
}

function makeDirectory(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  rmSync(path, { force: true });
  mkdirSync(path);
}

function writeDeep(root: string, path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

/** As mv(1) does: where a rename would take more than one step (EXDEV), it copies. */
function move(root: string, from: string, to: string): void {
  try {
    renameSync(join(root, from), join(root, to));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EXDEV');
    cpSync(join(root, from), join(root, to), { recursive: true });
    rmSync(join(root, from), { recursive: true });
  }
}

/** Each file with its content, and each link with its target, by path. */
function contentOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const visit = (directory: string): void => {
    for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
      const path = join(directory, entry.name);
      const full = join(root, path);
      if (entry.isDirectory()) visit(path);
      else
        found[path] = entry.isSymbolicLink()
          ? `-> ${readlinkSync(full)}`
          : readFileSync(full, 'utf8');
    }
  };
  visit('');
  return found;
}

/** The same of a model. */
function modelled({ files }: StackModel): Record<string, string> {
  const found: [string, string][] = [];
  for (const [path, { type, content, linkName }] of files)
    if (type === 'file') found.push([path, Buffer.from(content).toString()]);
    else if (type === 'symlink') found.push([path, `-> ${linkName}`]);
  return Object.fromEntries(found);
}
