import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Listed } from '../testing/listing.ts';
import { listDirectory, listIndex, listNodes } from '../testing/listing.ts';
import { mountIndex } from '../testing/mounted-index.ts';
import { needs } from '../testing/need.ts';
import { anyPlan, DEVICE, plant, readDevice } from '../testing/nodes.ts';
import { Node, S_IFDIR, S_IFLNK, S_IFREG } from './node.ts';
import { openIndex } from './read.ts';
import type { IndexOptions } from './write.ts';
import { indexBytes } from './write.ts';

const skip = needs('erofs', 'loop');
const OPTIONS: IndexOptions = {
  devices: [{ tag: 'ab'.repeat(32), size: DEVICE.length }],
  read: (_device, physical, into) => into.set(DEVICE.subarray(physical, physical + into.length)),
};

/** What the kernel shows of an image whose data are in `devices`. */
function listMounted(
  directory: string,
  image: Uint8Array,
  devices: readonly Uint8Array[],
): Listed[] {
  const [path, ...extra] = [image, ...devices].map((bytes, i) => {
    const file = join(directory, `device-${i}`);
    writeFileSync(file, bytes);
    return file;
  });
  const target = join(directory, 'mounted');
  using _ = mountIndex(path!, extra, target);
  return listDirectory(target);
}

test('the kernel shows any tree as it was written', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
  fc.assert(
    fc.property(anyPlan({ unaligned: true }), (plan) => {
      const root = plant(plan);
      const shown = listMounted(directory.path, indexBytes(root, OPTIONS), [DEVICE]);
      assert.deepEqual(shown, listNodes(root, readDevice));
    }),
    { numRuns: 10, endOnFailure: true },
  );
});

test('the kernel finds files in 20 devices', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
  const contents = Array.from({ length: 20 }, (_, i) => Buffer.alloc(8192, i + 1));
  const root = new Node(S_IFDIR | 0o755);
  for (const [i, content] of contents.entries()) {
    const node = new Node(S_IFREG | 0o644);
    node.size = 5000 + i;
    node.extents = [{ logical: 0, device: i + 1, physical: 1024, length: node.size }];
    root.children!.set(`of-${i}`, node);
    assert.equal(content.length, 8192);
  }
  for (const count of [2, 20]) {
    const some = new Node(S_IFDIR | 0o755);
    for (const [name, node] of [...root.children!].slice(0, count)) some.children!.set(name, node);
    const devices = contents.slice(0, count);
    const image = indexBytes(some, {
      devices: devices.map((content) => ({ tag: '', size: content.length })),
    });
    const read = (device: number, physical: number, length: number): Uint8Array =>
      contents[device - 1]!.subarray(physical, physical + length);
    assert.deepEqual(listMounted(directory.path, image, devices), listNodes(some, read));
  }
});

test('the kernel finds each of 6,000 names, and links of all lengths', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
  const root = new Node(S_IFDIR | 0o755);
  for (const name of ['a', 'b']) {
    const big = new Node(S_IFDIR | 0o700);
    for (let i = 0; i < 3000; i++) {
      const node = new Node(i % 9 === 0 ? S_IFLNK | 0o777 : S_IFREG | 0o644);
      if (i % 9 === 0) node.target = 't'.repeat(1 + (i % 4095));
      big.children!.set(`${'n'.repeat(i % 100)}${i}`, node);
    }
    root.children!.set(name, big);
  }
  const image = indexBytes(root, OPTIONS);
  const shown = listMounted(directory.path, image, [DEVICE]);
  using index = openIndex(image);
  assert.deepEqual(shown, listIndex(index, readDevice));
});

test(
  'the kernel finds each of 100,000 names of one directory, and no other',
  { skip },
  async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
    const root = new Node(S_IFDIR | 0o755);
    const names = Array.from({ length: 100_000 }, (_, i) => `${'n'.repeat(i % 60)}${i}`);
    for (const [i, name] of names.entries()) {
      const node = new Node(S_IFREG | 0o644);
      node.uid = i;
      root.children!.set(name, node);
    }
    const [image, mounted] = [join(directory.path, 'image'), join(directory.path, 'mounted')];
    writeFileSync(image, indexBytes(root, { devices: [] }));
    using _ = mountIndex(image, [], mounted);
    assert.deepEqual(readdirSync(mounted).sort(), names.toSorted());
    for (const [i, name] of names.entries()) assert.equal(lstatSync(join(mounted, name)).uid, i);
    for (const name of ['n', '100000', 'nnn0', '~']) assert.ok(!existsSync(join(mounted, name)));
  },
);

test(
  'the kernel reads values of 65,535 bytes and 300 xattrs of one file, shared or not',
  { skip },
  async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
    const root = new Node(S_IFDIR | 0o755);
    const many = Array.from({ length: 300 }, (_, i) => ({
      name: `user.${'x'.repeat(i % 100)}${i}`,
      value: Buffer.alloc((i * 37) % 700, i),
    }));
    const large = { name: 'trusted.large', value: Buffer.alloc(65_535, 'L') };
    const lists = [many, many, [...many.slice(0, 20), large], [large], many.slice(0, 1), []];
    for (const [i, xattrs] of lists.entries()) {
      const node = new Node(S_IFREG | 0o644);
      node.xattrs = [...xattrs, { name: 'user.own', value: Buffer.alloc(65_535, i) }];
      root.children!.set(`f${i}`, node);
    }
    const shown = listMounted(directory.path, indexBytes(root, OPTIONS), [DEVICE]);
    assert.deepEqual(shown, listNodes(root, readDevice));
  },
);
