import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Available } from '../../src/layer/available.ts';
import { unpackLayer } from '../../src/layer/unpack-layer.ts';
import { needs } from '../../src/testing/need.ts';
import * as t from '../../src/testing/tree.ts';
import { jobOf, unpackStack } from '../../src/testing/unpack-stack.ts';
import { storedLayer } from '../../src/union/stored.ts';
import { openUnion } from '../../src/union/union.ts';

const FILES = 40_000;

/** 40,000 files in 400 directories, and what a second layer does to some of them. */
function largeImage(): t.Tree[] {
  const base = Array.from({ length: FILES }, (_, i): [string, t.Item] => [
    `usr/d${i % 400}/file-${i}`,
    i % 10 === 0 ? t.link(`file-${i + 1}`) : t.file(`content ${i}`, { mtime: i, uid: i }),
  ]);
  const above = t.tree([
    ['usr', t.dir()],
    ['usr/d0', t.dir()],
    ['usr/d0/file-400', t.whiteout()],
    ['usr/d1', t.dir({ opaque: true })],
  ]);
  return [t.tree(base), above];
}

/** Paths of this process' open files below `directory`. */
const openBelow = (directory: string): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(directory) ? [path] : [];
    } catch {
      return []; // the listing's own descriptor
    }
  });

test(
  '40,000 files are listed by the indexes alone: the tars are gone, nothing is mounted',
  { skip: needs('linux') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'one-index-'));
    const layers = await unpackStack(largeImage().map(t.tarOf), 'tar', work.path);
    for (const { directory } of layers) rmSync(join(directory, 'layer.tar'));
    await using tree = openUnion(layers.map(({ directory }) => storedLayer(directory, 'tar')));
    let [files, owners] = [0, 0];
    for (const { stat } of tree.walk())
      if (stat.type !== 'directory') {
        files++;
        owners += stat.uid;
      }
    assert.equal(files, FILES - 100 - 1);
    assert.ok(owners > 0);
    const opened = openBelow(work.path).map((path) => path.slice(-11));
    assert.deepEqual([...new Set(opened)], ['index.erofs']);
    assert.ok(!readFileSync('/proc/self/mountinfo', 'latin1').includes(work.path));
  },
);

test('a layer has the same index, whatever holds its files', { skip: needs('root') }, async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'one-index-'));
  const tar = t.tarOf(
    t.tree({
      'a/file': t.file('x'.repeat(5000), { xattrs: { 'user.note': 'y' }, mtimeNs: 5 }),
      'a/hard': t.hardlink('a/file'),
      'a/holes': t.sparse(1_000_000, { 4096: 'data', 65_536: 'z'.repeat(4096) }),
      'a/link': t.link('file'),
      'a/null': t.char(1, 3),
      gone: t.whiteout(),
      opaque: t.dir({ opaque: true }),
    }),
  );
  const indexes: Buffer[] = [];
  for (const form of ['tar', 'overlay', 'userxattr', 'direct'] as const) {
    const directory = join(work.path, form);
    mkdirSync(join(directory, 'fs'), { recursive: true });
    const job = { ...jobOf(tar, form, directory), parents: [] };
    await unpackLayer(job, { available: Available.complete(tar.length) });
    indexes.push(readFileSync(join(directory, 'index.erofs')));
  }
  for (const index of indexes) assert.ok(index.equals(indexes[0]!));
});
