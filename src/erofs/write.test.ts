import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { listIndex, listNodes } from '../testing/listing.ts';
import { anyPlan, DEVICE, plant, readDevice } from '../testing/nodes.ts';
import type { Extent } from './node.ts';
import { Node, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG, S_IFSOCK, UNMAPPED_DEVICE } from './node.ts';
import { openIndex } from './read.ts';
import type { IndexOptions } from './write.ts';
import { indexBytes, writeIndex } from './write.ts';

const TAG = 'ab'.repeat(32);
const OPTIONS: IndexOptions = { devices: [{ tag: TAG, size: DEVICE.length }] };
const COPYING: IndexOptions = {
  ...OPTIONS,
  read: (_device, physical, into) => into.set(DEVICE.subarray(physical, physical + into.length)),
};

function rootWith(...children: readonly (readonly [string, Node])[]): Node {
  const root = new Node(S_IFDIR | 0o755);
  for (const [name, node] of children) root.children!.set(name, node);
  return root;
}

function fileWith(size: number, extents: readonly Extent[]): Node {
  const node = new Node(S_IFREG | 0o644);
  node.size = size;
  node.extents = [...extents];
  return node;
}

function linkTo(target: string): Node {
  const node = new Node(S_IFLNK | 0o777);
  node.target = target;
  return node;
}

describe('a written index', () => {
  test('reads back as the tree it was written from', () => {
    fc.assert(
      fc.property(anyPlan(), (plan) => {
        const root = plant(plan);
        using index = openIndex(indexBytes(root, OPTIONS));
        assert.deepEqual(listIndex(index, readDevice), listNodes(root, readDevice));
      }),
      { numRuns: 60 },
    );
  });

  test('holds data that lie anywhere in the tar when it may copy them', () => {
    fc.assert(
      fc.property(anyPlan({ unaligned: true }), (plan) => {
        const root = plant(plan);
        using index = openIndex(indexBytes(root, COPYING));
        assert.deepEqual(listIndex(index, readDevice), listNodes(root, readDevice));
      }),
      { numRuns: 40 },
    );
  });

  test('has the same bytes whatever order its tree was made in', () => {
    fc.assert(
      fc.property(anyPlan(), (plan) => {
        const [one, other] = [plant(plan), plant(plan, true)];
        assert.ok(indexBytes(one, OPTIONS).equals(indexBytes(other, OPTIONS)));
      }),
      { numRuns: 30 },
    );
  });

  test('finds every name of a directory with 100,000 of them', () => {
    const big = new Node(S_IFDIR | 0o755);
    for (let i = 0; i < 100_000; i++)
      big.children!.set(`${(i * 7919) % 100_000}-${'x'.repeat(i % 50)}`, fileWith(0, []));
    using index = openIndex(indexBytes(rootWith(['big', big]), OPTIONS));
    const directory = index.lookup(index.root, 'big')!;
    const entries = index.readdir(directory);
    assert.equal(entries.length, 100_000);
    for (const { name, nid } of entries.filter((_, i) => i % 97 === 0))
      assert.equal(index.lookup(directory, name), nid);
    assert.equal(index.lookup(directory, '7919-'), undefined);
  });

  test('holds names of 255 bytes and links to 4095, and refuses longer ones', () => {
    const root = rootWith(['n'.repeat(255), linkTo('t'.repeat(4095))]);
    using index = openIndex(indexBytes(root, OPTIONS));
    assert.equal(index.readlink(index.lookup(index.root, 'n'.repeat(255))!), 't'.repeat(4095));
    for (const bad of [
      rootWith(['n'.repeat(256), fileWith(0, [])]),
      rootWith(['', fileWith(0, [])]),
      rootWith(['a/b', fileWith(0, [])]),
      rootWith(['a\0', fileWith(0, [])]),
      rootWith(['é…', fileWith(0, [])]),
      rootWith(['..', fileWith(0, [])]),
      rootWith(['l', linkTo('t'.repeat(4096))]),
      rootWith(['l', linkTo('')]),
    ])
      assert.throws(() => indexBytes(bad, OPTIONS), { code: 'INVALID_ARGUMENT' });
  });

  test('links of every length read back, with and without xattrs in front', () => {
    const links = Array.from({ length: 1200 }, (_, i): [string, Node] => {
      const link = linkTo('x'.repeat(i + 1));
      if (i % 3 === 0) link.xattrs = [{ name: 'trusted.x', value: Buffer.alloc(i % 200) }];
      return [`l${i}`, link];
    });
    const root = rootWith(...links);
    using index = openIndex(indexBytes(root, OPTIONS));
    assert.deepEqual(listIndex(index, readDevice), listNodes(root, readDevice));
  });

  test('maps files larger than 4 GiB, also those in more than one chunk', () => {
    const size = 3 * 2 ** 40;
    const sparse = fileWith(size, [
      { logical: 2 ** 40, device: 1, physical: 512, length: 4096 },
      { logical: 2 ** 41, device: 1, physical: 8192, length: 512 },
    ]);
    const huge = 2 ** 40 + 2 ** 39;
    const whole = fileWith(huge, [{ logical: 0, device: 1, physical: 1024, length: huge }]);
    const devices = [{ tag: TAG, size: 2 ** 40 + 2 ** 39 + 1024 }];
    const written = indexBytes(rootWith(['whole', whole]), { devices });
    using index = openIndex(written);
    assert.deepEqual(index.extents(index.lookup(index.root, 'whole')!), whole.extents);
    assert.ok(written.length < 4096);
    using empty = openIndex(indexBytes(rootWith(['hole', fileWith(size, [])]), OPTIONS));
    assert.deepEqual(empty.extents(empty.lookup(empty.root, 'hole')!), []);
    const result = writeIndex(rootWith(['sparse', sparse]), () => {}, OPTIONS);
    assert.equal(result.unmapped, 1, 'more chunks than an index may have');
  });

  test('files of holes that are as large as numbers go do not make an index of gigabytes', () => {
    const holes = (count: number): Node =>
      rootWith(
        ...Array.from({ length: count }, (_, i): [string, Node] => [
          `h${i}`,
          fileWith(2 ** 53 - 1, []),
        ]),
      );
    let size = 0;
    const write = (root: Node): unknown =>
      writeIndex(root, (chunk) => (size += chunk.length), OPTIONS);
    assert.throws(() => write(holes(1000)), { code: 'RESOURCE_EXHAUSTED' });
    assert.equal(size, 0);
    write(holes(200));
    assert.ok(size < 20 * 2 ** 20, `${size} bytes`);
  });

  test('addresses end at 2 TiB', () => {
    const devices = [{ tag: TAG, size: 2 ** 41 }];
    assert.throws(() => indexBytes(rootWith(), { devices }), { code: 'RESOURCE_EXHAUSTED' });
    const far = fileWith(600, [{ logical: 0, device: 1, physical: 2 ** 41, length: 600 }]);
    assert.throws(() => indexBytes(rootWith(['far', far]), OPTIONS), {
      code: 'RESOURCE_EXHAUSTED',
    });
  });

  test('says which files it cannot map, and its reader does not make up their data', () => {
    const unaligned = fileWith(1000, [{ logical: 0, device: 1, physical: 100, length: 1000 }]);
    const elsewhere = fileWith(9, [
      { logical: 0, device: UNMAPPED_DEVICE, physical: 0, length: 9 },
    ]);
    const root = rootWith(['a', unaligned], ['b', elsewhere], ['c', fileWith(9, [])]);
    const chunks: Uint8Array[] = [];
    const written = writeIndex(root, (chunk) => chunks.push(Buffer.from(chunk)), OPTIONS);
    assert.equal(written.unmapped, 2);
    using index = openIndex(Buffer.concat(chunks));
    const extents = (name: string): Extent[] => index.extents(index.lookup(index.root, name)!);
    assert.throws(() => extents('a'), { code: 'FAILED_PRECONDITION' });
    assert.throws(() => extents('b'), { code: 'FAILED_PRECONDITION' });
    assert.deepEqual(extents('c'), []);
    assert.equal(writeIndex(root, () => {}, COPYING).unmapped, 1);
  });

  test('knows the devices that extents name, up to those that many layers need', () => {
    const devices = Array.from({ length: 600 }, (_, i) => ({
      tag: i.toString(16).padStart(64, '0'),
      size: 5120,
    }));
    const files = devices.map((_, i): [string, Node] => [
      `f${i}`,
      fileWith(700, [{ logical: 0, device: i + 1, physical: 512, length: 700 }]),
    ]);
    for (const count of [1, 16, 17, 600]) {
      const root = rootWith(...files.slice(0, count));
      using index = openIndex(indexBytes(root, { devices: devices.slice(0, count) }));
      assert.deepEqual(
        index.devices.map(({ tag, size }) => ({ tag, size })),
        devices.slice(0, count),
      );
      for (const [name, node] of files.slice(0, count))
        assert.deepEqual(index.extents(index.lookup(index.root, name)!), node.extents);
    }
    for (const device of [0, 2, 70_000]) {
      const bad = fileWith(700, [{ logical: 0, device, physical: 512, length: 700 }]);
      assert.throws(() => indexBytes(rootWith(['f', bad]), OPTIONS), { code: 'INVALID_ARGUMENT' });
    }
    const many = Array.from({ length: 20_000 }, () => ({ tag: '', size: 512 }));
    assert.throws(() => indexBytes(rootWith(), { devices: many }), { code: 'RESOURCE_EXHAUSTED' });
  });

  test('stores an xattr once that many files have, and counts what it has no place for', () => {
    const label = { name: 'security.selinux', value: Buffer.alloc(60, 'l') };
    const labelled = (count: number): [string, Node][] =>
      Array.from({ length: count }, (_, i) => {
        const node = fileWith(0, []);
        node.xattrs = [label, { name: 'com.apple.provenance', value: Buffer.from('x') }];
        return [`f${i}`, node];
      });
    const written = writeIndex(rootWith(...labelled(1000)), () => {}, OPTIONS);
    const bare = writeIndex(
      rootWith(...labelled(1000).map(([name]): [string, Node] => [name, fileWith(0, [])])),
      () => {},
      OPTIONS,
    );
    assert.equal(written.droppedXattrs, 1000);
    assert.ok(written.size - bare.size < 1000 * 40, `${written.size - bare.size} bytes`);
  });

  test('takes 400 xattrs of one file, and large values, and refuses what no inode holds', () => {
    const node = fileWith(0, []);
    node.xattrs = Array.from({ length: 400 }, (_, i) => ({
      name: `user.${i}`,
      value: Buffer.alloc(i === 7 ? 65_535 : 600, i),
    }));
    const root = rootWith(['f', node]);
    using index = openIndex(indexBytes(root, OPTIONS));
    assert.deepEqual(listIndex(index, readDevice), listNodes(root, readDevice));
    node.xattrs = Array.from({ length: 400 }, (_, i) => ({
      name: `user.${i}`,
      value: Buffer.alloc(65_000, i),
    }));
    assert.throws(() => indexBytes(root, OPTIONS), { code: 'RESOURCE_EXHAUSTED' });
  });

  test('says what it wrote', () => {
    const chunks: Uint8Array[] = [];
    const root = rootWith(['w', new Node(S_IFCHR)]);
    const written = writeIndex(root, (chunk) => chunks.push(Buffer.from(chunk)), OPTIONS);
    const bytes = Buffer.concat(chunks);
    assert.equal(written.size, bytes.length);
    assert.equal(written.inodes, 2);
    using index = openIndex(bytes);
    assert.equal(index.inodes, 2);
    assert.equal(index.blockSize, 512);
  });

  test('refuses nodes that no file system has', () => {
    const broken = (change: Partial<Node>): Node =>
      rootWith(['f', Object.assign(fileWith(0, []), change)]);
    for (const bad of [
      broken({ mode: 0o644 }),
      broken({ uid: -1 }),
      broken({ gid: 2 ** 32 }),
      broken({ mtime: 0.5 }),
      broken({ mtimeNs: 1e9 }),
      broken({ size: -1 }),
      broken({ size: 10, extents: [{ logical: 5, device: 1, physical: 0, length: 6 }] }),
      broken({ mode: S_IFSOCK, rdev: 1.5 }),
      fileWith(0, []),
    ])
      assert.throws(() => indexBytes(bad, OPTIONS), { code: 'INVALID_ARGUMENT' });
    const twice = new Node(S_IFDIR);
    assert.throws(() => indexBytes(rootWith(['a', twice], ['b', twice]), OPTIONS), {
      code: 'INVALID_ARGUMENT',
    });
    const within = rootWith();
    within.children!.set('self', within);
    assert.throws(() => indexBytes(within, OPTIONS), { code: 'INVALID_ARGUMENT' });
  });
});
