import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from '../erofs/node.ts';
import { openIndex } from '../erofs/read.ts';
import { indexBytes } from '../erofs/write.ts';
import { TarReader } from '../tar/read.ts';
import { TarWriter } from '../tar/write.ts';
import { type DeviceReader, listDirectory, listIndex, type Listed } from '../testing/listing.ts';
import { mountIndex } from '../testing/mounted-index.ts';
import { makeNastyTree } from '../testing/nasty-tree.ts';
import { needs } from '../testing/need.ts';
import * as t from '../testing/tree.ts';
import { jobOf } from '../testing/unpack-stack.ts';
import { Available } from './available.ts';
import { Changeset } from './changeset/changeset.ts';
import { nothingBelow } from './changeset/lower.ts';
import { noSink } from './changeset/sink.ts';
import { unpackLayer } from './unpack-layer.ts';

const skip = needs('root', 'erofs', 'loop', 'tar', 'erofs-utils');

const run = (file: string, args: readonly string[]): string =>
  execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const XATTRS = ['--xattrs', '--xattrs-include=*', '--acls'];
const EXTRACT = ['-x', ...XATTRS, '-p', '--same-owner', '--numeric-owner'];

/** How GNU tar can write the same files. */
const FORMATS: readonly (readonly string[])[] = [
  ['--format=posix', '--sparse', '--sparse-version=1.0', ...XATTRS],
  ['--format=posix', '--sparse', '--sparse-version=0.1', ...XATTRS],
  ['--format=posix', '--sparse', '--sparse-version=0.0', ...XATTRS],
  ['--format=posix', ...XATTRS],
  ['--format=gnu', '--sparse'],
  ['--format=gnu'],
  ['--format=oldgnu', '--sparse'],
];

interface Packed {
  /** The directory that was packed. */
  readonly source: string;
  readonly archive: string;
  readonly index: string;
}

/** Nasty files, packed by GNU tar, and the index that unpacking the archive gives. */
async function pack(work: string, format: readonly string[]): Promise<Packed> {
  const [source, layer, archive] = [join(work, 'source'), join(work, 'layer'), join(work, 'tar')];
  for (const path of [source, layer]) mkdirSync(path);
  makeNastyTree(source);
  run('tar', ['-c', ...format, '--numeric-owner', '-f', archive, '-C', source, '.']);
  const bytes = readFileSync(archive);
  await unpackLayer(jobOf(bytes, 'tar', layer), { available: Available.complete(bytes.length) });
  return { source, archive, index: join(layer, 'index.erofs') };
}

for (const format of FORMATS)
  test(`a mounted index shows what tar extracts (${format.join(' ')})`, { skip }, async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'index-'));
    const { archive, index } = await pack(work.path, format);
    const [tree, mounted] = [join(work.path, 'tree'), join(work.path, 'mounted')];
    mkdirSync(tree);
    run('tar', [...EXTRACT, '-f', archive, '-C', tree]);
    const expected = listDirectory(tree);
    using opened = openIndex(index);
    same(listIndex(opened, readerOf(archive)), expected);
    using _ = mountIndex(index, [archive], mounted);
    same(listDirectory(mounted), expected);
    run('fsck.erofs', [`--device=${archive}`, index]);
  });

function readerOf(archive: string): DeviceReader {
  const bytes = readFileSync(archive);
  return (_, physical, length) => bytes.subarray(physical, physical + length);
}

/** Path by path, so that a difference is readable. */
function same(found: readonly Listed[], expected: readonly Listed[]): void {
  const byPath = new Map(found.map((file) => [file.path, file]));
  for (const file of expected) assert.deepEqual(byPath.get(file.path), file);
  assert.equal(found.length, expected.length);
}

/** Names that `dump.erofs -S` counts, by type, and the bytes of regular files. */
function countedByDump({ index, archive }: Packed): Record<string, number> {
  const text = run('dump.erofs', ['-S', `--device=${archive}`, index]);
  const count = (label: string): number =>
    Number(new RegExp(`Filesystem ${label}:\\s*(\\d+)`).exec(text)?.[1]);
  return {
    all: count('total file count'),
    files: count('regular file count'),
    directories: count('directory count'),
    chars: count('char dev count'),
    blocks: count('block dev count'),
    fifos: count('FIFO file count'),
    links: count('symlink file count'),
    bytes: Number(/total original file size:\s*(\d+)/.exec(text)?.[1]),
  };
}

test('dump.erofs counts the files that were packed, their types and bytes', { skip }, async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'index-'));
  const packed = await pack(work.path, ['--format=posix', ...XATTRS]);
  const names = listDirectory(packed.source);
  const ofType = (type: number): number =>
    names.filter(({ mode }) => (Number.parseInt(mode, 8) & S_IFMT) === type).length;
  assert.deepEqual(countedByDump(packed), {
    all: names.length,
    files: ofType(S_IFREG),
    directories: ofType(S_IFDIR),
    chars: ofType(S_IFCHR),
    blocks: ofType(S_IFBLK),
    fifos: ofType(S_IFIFO),
    links: ofType(S_IFLNK),
    bytes: names.reduce((sum, { size, content }) => sum + (content === undefined ? 0 : size), 0),
  });
});

/**
 * mkfs.erofs 1.8 takes a fraction of a second for a number of nanoseconds, adds it to times before
 * 1970 on the wrong side, and does not know sparse files.
 */
test('an index has the tree that mkfs.erofs gives the same archive', { skip }, async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'index-'));
  const packed = await pack(work.path, ['--format=posix', ...XATTRS]);
  const theirs = join(work.path, 'theirs.erofs');
  run('mkfs.erofs', ['--tar=i', '--quiet', '-b512', theirs, packed.archive]);
  const timeless = (image: string): Listed[] => {
    using _ = mountIndex(image, [packed.archive], join(work.path, 'mounted'));
    return listDirectory(join(work.path, 'mounted')).map((file) =>
      Object.assign(file, { mtime: 0n }),
    );
  };
  same(timeless(packed.index), timeless(theirs));
});

const GIB = 2 ** 30;
const LARGE = [
  ['five', 5 * GIB + 5],
  ['nine', 9 * GIB + 511],
  ['after', 4],
] as const;

/** An archive of 14 GiB that takes some blocks of the disk, and its index. */
function packLarge(path: string): Buffer {
  const fd = openSync(path, 'w');
  const changeset = new Changeset(noSink, { lower: nothingBelow });
  const reader = new TarReader(changeset);
  const zeros = Buffer.alloc(2 ** 26);
  let at = 0;
  const put = (chunk: Uint8Array): void => {
    writeSync(fd, chunk, 0, chunk.length, at);
    reader.write(chunk);
    at += chunk.length;
  };
  const skipTo = (end: number): void => {
    for (; at < end; at += Math.min(zeros.length, end - at))
      reader.write(zeros.subarray(0, end - at));
  };
  for (const [name, size] of LARGE) {
    const [member] = t.tree({ [name]: t.file() });
    new TarWriter(put).entry({ ...member!, size });
    const end = at + Math.ceil(size / 512) * 512;
    skipTo(at + size - 4);
    put(Buffer.from('tail'));
    skipTo(end);
  }
  ftruncateSync(fd, at + 1024);
  closeSync(fd);
  reader.write(zeros.subarray(0, 1024));
  reader.end();
  changeset.finish();
  return indexBytes(changeset.root, { devices: [{ tag: '', size: at + 1024 }] });
}

const tailOf = (path: string, position: number): string => {
  const [fd, bytes] = [openSync(path, 'r'), Buffer.alloc(4)];
  readSync(fd, bytes, 0, 4, position);
  closeSync(fd);
  return bytes.toString('latin1');
};

test('files of more than 4 and 8 GiB have their size and end', { skip }, async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'index-'));
  const [archive, index] = [join(work.path, 'large.tar'), join(work.path, 'index.erofs')];
  writeFileSync(index, packLarge(archive));
  using opened = openIndex(index);
  using _ = mountIndex(index, [archive], join(work.path, 'mounted'));
  for (const [name, size] of LARGE) {
    const path = join(work.path, 'mounted', name);
    assert.equal(statSync(path).size, size);
    assert.equal(tailOf(path, size - 4), 'tail');
    const extents = opened.extents(opened.lookup(opened.root, name)!);
    assert.deepEqual(
      extents.map(({ length }) => length),
      [size],
    );
    assert.equal(tailOf(archive, extents[0]!.physical + size - 4), 'tail');
  }
});
