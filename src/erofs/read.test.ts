import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { listIndex } from '../testing/listing.ts';
import type { Index } from './index-file.ts';
import { isOpaque, isWhiteout } from './index-file.ts';
import { majorOf, minorOf, Node, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from './node.ts';
import { openIndex } from './read.ts';
import { indexBytes } from './write.ts';

const fixture = (name: string): string => join(import.meta.dirname, 'fixtures', `${name}.erofs`);
const OPTIONS = { devices: [{ tag: '', size: 1 << 20 }] };

function find(index: Index, path: string): number {
  let nid = index.root;
  for (const name of path.split('/')) {
    const next = index.lookup(nid, name);
    assert.ok(next !== undefined, path);
    nid = next;
  }
  return nid;
}

for (const name of ['compact', 'tar-index'])
  describe(`an image by mkfs.erofs (${name})`, () => {
    test('gives names, types and attributes', () => {
      using index = openIndex(fixture(name));
      assert.deepEqual(
        index.readdir(index.root).map((entry) => [entry.name, entry.type]),
        [
          ['d', S_IFDIR],
          ['l', S_IFLNK],
        ],
      );
      assert.equal(index.readlink(find(index, 'l')), 'target');
      const file = index.stat(find(index, 'd/f'));
      assert.equal(file.mode, S_IFREG | 0o644);
      assert.deepEqual([file.size, file.nlink, file.mtime, file.mtimeNs], [5, 2, 1_600_000_000, 0]);
      assert.equal(find(index, 'd/hard'), file.nid);
      const device = index.stat(find(index, 'd/c'));
      assert.equal(device.mode, S_IFCHR | 0o644);
      assert.deepEqual([majorOf(device.rdev), minorOf(device.rdev)], [5, 300]);
      assert.equal(index.stat(find(index, 'd/p')).mode, S_IFIFO | 0o644);
    });

    test('finds every name of a directory in blocks, and no other', () => {
      using index = openIndex(fixture(name));
      const directory = find(index, 'd/sub');
      const entries = index.readdir(directory);
      assert.equal(entries.length, 40);
      for (const entry of entries) assert.equal(index.lookup(directory, entry.name), entry.nid);
      for (const missing of ['', 'entry', 'entry-number-0', 'entry-number-400', 'zzz', '\xff'])
        assert.equal(index.lookup(directory, missing), undefined);
      assert.equal(index.lookup(directory, '..'), find(index, 'd'));
      assert.equal(index.lookup(directory, '.'), directory);
    });
  });

test('data in the image itself are device 0, in blocks and behind the inode', () => {
  using index = openIndex(fixture('compact'));
  const read = (path: string): string =>
    index
      .extents(find(index, path))
      .map(({ device, physical, length }) => {
        assert.equal(device, 0);
        const bytes = Buffer.alloc(length);
        index.read(physical, bytes);
        return bytes.toString();
      })
      .join('');
  assert.equal(read('d/f'), 'hello');
  assert.equal(read('d/z'), 'z'.repeat(1500));
});

test('data in a tar are at a place of device 1', () => {
  using index = openIndex(fixture('tar-index'));
  const [extent, ...others] = index.extents(find(index, 'd/z'));
  assert.deepEqual(others, []);
  assert.deepEqual([extent?.device, extent?.logical, extent?.length], [1, 0, 1500]);
  assert.equal(extent!.physical % 512, 0);
  assert.ok(extent!.physical < index.devices[0]!.size);
});

test('xattrs come with their names whole, whether shared, inline or with a long prefix', () => {
  using index = openIndex(fixture('compact'));
  assert.deepEqual(index.xattrs(find(index, 'd/f')), [
    { name: 'user.a', value: new Uint8Array([0x31]) },
  ]);
  for (const path of ['d', 'd/sub']) {
    const directory = index.stat(find(index, path));
    assert.deepEqual(index.xattrs(directory.nid), [
      { name: 'trusted.overlay.opaque', value: new Uint8Array([0x79]) },
    ]);
    assert.ok(isOpaque(index, directory));
  }
  assert.ok(!isOpaque(index, index.stat(index.root)));
  assert.ok(!isWhiteout(index.stat(find(index, 'd/c'))));
});

test('asking an inode for what its type has not is the caller’s mistake', () => {
  using index = openIndex(fixture('compact'));
  const mistake = { code: 'FAILED_PRECONDITION' };
  assert.throws(() => index.readdir(find(index, 'd/f')), mistake);
  assert.throws(() => index.lookup(find(index, 'd/f'), 'x'), mistake);
  assert.throws(() => index.readlink(index.root), mistake);
  assert.throws(() => index.extents(index.root), mistake);
});

test('a file that is not there is not found', () => {
  assert.throws(() => openIndex('/does/not/exist'), { code: 'NOT_FOUND' });
});

test('a large index reads the same from its file, page by page, as from memory', async () => {
  const root = new Node(S_IFDIR | 0o755);
  for (let d = 0; d < 60; d++) {
    const directory = new Node(S_IFDIR | 0o755);
    for (let i = 0; i < 300; i++) {
      const node = new Node(i % 5 === 0 ? S_IFLNK | 0o777 : S_IFREG | 0o644);
      if (i % 5 === 0) node.target = 't'.repeat(1 + ((d * i) % 1500));
      else node.xattrs = [{ name: 'user.n', value: Buffer.alloc(i, d) }];
      directory.children!.set(`file-${i}`, node);
    }
    root.children!.set(`directory-${d}`, directory);
  }
  await using directory = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
  const path = join(directory.path, 'index.erofs');
  const bytes = indexBytes(root, OPTIONS);
  assert.ok(bytes.length > 5 << 20, 'more than all pages that are kept');
  writeFileSync(path, bytes);
  using fromFile = openIndex(path);
  using fromBytes = openIndex(bytes);
  const none = (): Uint8Array => new Uint8Array();
  assert.deepEqual(listIndex(fromFile, none), listIndex(fromBytes, none));
  fromFile.close();
  assert.throws(() => fromFile.stat(fromFile.root));
});
