import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode, type ErrorCode } from '../errors.ts';
import { packLayer } from '../testing/pack.ts';
import * as t from '../testing/tree.ts';
import type { UnionTree } from './tree.ts';
import { openUnion } from './union.ts';

const union = (...layers: t.Items[]): UnionTree =>
  openUnion(layers.map((items) => packLayer(t.tree(items))));

const names = (tree: UnionTree, path = '/'): string[] => tree.readdir(path).map(({ name }) => name);
const text = async (tree: UnionTree, path: string): Promise<string> =>
  (await tree.readFile(path)).toString();

const refuses = (code: ErrorCode, run: () => unknown): void =>
  assert.throws(run, (error) => isCode(error, code));

/** The article's figure: layers {1,2,3}, {4,5,6}, and 7, which is the new version of 5. */
const ARTICLE: readonly t.Items[] = [
  { 'file-1': t.file('1'), 'file-2': t.file('2'), 'file-3': t.file('3') },
  { 'file-4': t.file('4'), 'file-5': t.file('5'), 'file-6': t.file('6') },
  { 'file-5': t.file('7') },
];

test('three layers of three, three and one file show six files, and 7 covers 5', async () => {
  await using tree = union(...ARTICLE);
  assert.deepEqual(names(tree), ['file-1', 'file-2', 'file-3', 'file-4', 'file-5', 'file-6']);
  assert.equal(await text(tree, 'file-5'), '7');
  assert.equal(await text(tree, 'file-6'), '6');
  const story = tree.history('file-5').map(({ layer, kind }) => [layer, kind]);
  assert.deepEqual(story, [
    [2, 'provides'],
    [1, 'hidden'],
  ]);
});

test('a whiteout deletes, an opaque directory starts again, directories merge', () => {
  const tree = union(
    { 'a/x': t.file(), 'a/y': t.file(), 'b/x': t.file(), 'c/x': t.file() },
    {
      'a/x': t.whiteout(),
      'a/z': t.file(),
      b: t.dir({ opaque: true }),
      'b/n': t.file(),
      c: t.whiteout(),
    },
  );
  assert.deepEqual(names(tree, 'a'), ['y', 'z']);
  assert.deepEqual(names(tree, 'b'), ['n']);
  assert.deepEqual(names(tree), ['a', 'b']);
});

test('what a lower layer deleted may return above it', async () => {
  const tree = union({ 'd/f': t.file('1') }, { d: t.whiteout() }, { 'd/g': t.file('2') });
  assert.deepEqual(names(tree, 'd'), ['g']);
});

test('a merged directory has the attributes of its topmost layer', () => {
  const tree = union(
    { d: t.dir({ mode: 0o700, uid: 1 }), 'd/x': t.file() },
    { d: t.dir({ mode: 0o750, gid: 2 }) },
  );
  const { mode, uid, gid, layer, nlink } = tree.stat('d');
  assert.deepEqual([mode & 0o7777, uid, gid, layer, nlink], [0o750, 0, 2, 1, 1]);
});

test('links are followed inside the tree only', async () => {
  const tree = union({
    'etc/passwd': t.file('inside'),
    absolute: t.link('/etc/passwd'),
    above: t.link('../../../../etc/passwd'),
    dir: t.link('etc'),
    chain: t.link('dir/../absolute'),
    dangling: t.link('/no/where'),
  });
  for (const path of [
    'absolute',
    'above',
    'dir/passwd',
    'chain',
    '../../etc/./passwd',
    'dir//passwd',
  ])
    assert.equal(await text(tree, path), 'inside', path);
  assert.equal(tree.lstat('dir').type, 'symlink');
  assert.equal(tree.stat('dir').type, 'directory');
  assert.equal(tree.lstat('dir/').type, 'directory');
  assert.equal(tree.readlink('absolute'), '/etc/passwd');
  refuses('NOT_FOUND', () => tree.stat('dangling'));
});

test('a link may lead through a directory that an upper layer put there', async () => {
  const tree = union({ lib: t.link('usr/lib') }, { 'usr/lib/b.so': t.file('b') });
  assert.equal(await text(tree, 'lib/b.so'), 'b');
  const { path, links, exists } = tree.resolve('lib/b.so');
  assert.deepEqual([path, exists], ['/usr/lib/b.so', true]);
  assert.deepEqual(links, [{ path: '/lib', target: 'usr/lib', layer: 0 }]);
});

test('links in circles, files on the way and wrong types are refused with a code', async () => {
  const tree = union({ a: t.link('b'), b: t.link('a'), f: t.file(), p: t.fifo(), d: t.dir() });
  refuses('FAILED_PRECONDITION', () => tree.stat('a'));
  refuses('FAILED_PRECONDITION', () => tree.stat('f/x'));
  refuses('FAILED_PRECONDITION', () => tree.stat('f/'));
  refuses('FAILED_PRECONDITION', () => tree.readdir('f'));
  refuses('FAILED_PRECONDITION', () => tree.readlink('f'));
  refuses('FAILED_PRECONDITION', () => tree.createReadStream('d'));
  refuses('INVALID_ARGUMENT', () => tree.stat('f\0'));
  refuses('NOT_FOUND', () => tree.stat('x/y/z'));
  await assert.rejects(tree.readFile('p'), { code: 'FAILED_PRECONDITION' });
});

test('forty links are followed, and no more', () => {
  const chain = (length: number): UnionTree =>
    union(
      Array.from({ length }, (_, at) => [`l${at}`, t.link(`l${at + 1}`)] as const).concat([
        [`l${length}`, t.file()] as never,
      ]),
    );
  assert.equal(chain(40).stat('l0').type, 'file');
  refuses('FAILED_PRECONDITION', () => chain(41).stat('l0'));
});

test('names that are not UTF-8 are found by their bytes', async () => {
  const name = Buffer.from([0x66, 0xff, 0xe4]);
  const tree = union([
    [name, t.file('bytes')],
    ['grün/ä', t.file('text')],
  ]);
  assert.equal((await tree.readFile(name)).toString(), 'bytes');
  assert.equal(await text(tree, 'grün/ä'), 'text');
  const [first] = tree.readdir('/');
  assert.deepEqual(Buffer.from(first!.raw), name);
  const paths = [...tree.walk()].map(({ path }) => path);
  assert.deepEqual(paths, ['/', '/f\ufffd\ufffd', '/grün', '/grün/ä']);
});

test('holes read as zeros, and any range of a file can be read', async () => {
  const tree = union({ s: t.sparse(300_000, { 4096: 'data', 200_001: 'end' }) });
  const all = await tree.readFile('s');
  assert.equal(all.length, 300_000);
  assert.equal(all.toString('latin1', 4096, 4100), 'data');
  assert.equal(all.toString('latin1', 200_001, 200_004), 'end');
  assert.equal(all.filter((byte) => byte !== 0).length, 7);
  for (const [start, end] of [
    [0, 0],
    [4094, 4097],
    [100_000, 299_999],
    [299_990, 400_000],
    [300_000, 400_000],
  ]) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of tree.createReadStream('s', { start, end })) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(all.subarray(start, end! + 1)), `${start}-${end}`);
  }
});

test('two names of one file have one inode, and say so across layers', () => {
  const tree = union({ a: t.file('x'), b: t.hardlink('a'), c: t.file('x') }, { d: t.file('x') });
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((path) => tree.stat(path));
  assert.equal(a!.ino, b!.ino);
  assert.equal(a!.nlink, 2);
  assert.equal(new Set([a!.ino, c!.ino, d!.ino]).size, 3);
});

test('devices, times and attributes come through, the marks of layering do not', () => {
  const tree = union(
    { 'dev/null': t.char(1, 3, { mode: 0o666 }), 'dev/sda': t.block(259, 300_000) },
    {
      d: t.dir({ opaque: true, xattrs: { 'user.note': 'kept' } }),
      f: t.file('', { mtime: -5, mtimeNs: 999_999_999, uid: 100_000, mode: 0o4755 }),
    },
  );
  const { type, major, minor } = tree.stat('dev/null');
  assert.deepEqual([type, major, minor], ['char', 1, 3]);
  assert.deepEqual([tree.stat('dev/sda').major, tree.stat('dev/sda').minor], [259, 300_000]);
  assert.deepEqual(
    tree.stat('d').xattrs.map(({ name }) => name),
    ['user.note'],
  );
  const { mtime, mtimeNs, uid, mode } = tree.stat('f');
  assert.deepEqual([mtime, mtimeNs, uid, mode], [-5, 999_999_999, 100_000, 0o104755]);
});

test('an image without layers is an empty directory', () => {
  const tree = openUnion([]);
  assert.equal(tree.depth, 0);
  assert.deepEqual(tree.readdir('/'), []);
  assert.deepEqual(
    [...tree.walk()].map(({ path }) => path),
    ['/'],
  );
});

test('an aborted read ends with the reason', async () => {
  const tree = union({ s: t.sparse(10_000_000, {}) });
  const controller = new AbortController();
  const reading = (async () => {
    for await (const _ of tree.createReadStream('s', { signal: controller.signal }))
      controller.abort(new Error('enough'));
  })();
  await assert.rejects(reading, /enough/);
});
