import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { MicaError } from '../errors.ts';
import { anyPlan, DEVICE, plant } from '../testing/nodes.ts';
import { INODE, SB } from './format.ts';
import type { Index } from './index-file.ts';
import { Node, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG } from './node.ts';
import { openIndex } from './read.ts';
import { openStack } from './stack.ts';
import { indexBytes } from './write.ts';

const OPTIONS = { devices: [{ tag: 'ab'.repeat(32), size: DEVICE.length }] };
const fixture = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'fixtures', name));

/** Calls everything on everything that can be reached, and believes no more than so many files. */
function explore(bytes: Uint8Array): void {
  using index = openIndex(bytes);
  const stack = openStack([index]);
  let left = Math.ceil(bytes.length / 12);
  const waiting = stack.root ? [stack.root] : [];
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    assert.ok(left-- > 0, 'more files than the image has room for');
    exploreFile(index, node.inode.nid);
    if ((node.inode.mode & S_IFMT) !== S_IFDIR) continue;
    const entries = tolerate(() => stack.readdir(node)) ?? [];
    for (const entry of entries) waiting.push(entry.node);
    tolerate(() => stack.child(node, entries.at(-1)?.name ?? 'missing'));
    tolerate(() => stack.child(node, 'zzz'));
  }
  tolerate(() => stack.lookup(['d', 'sub', 'entry-number-7']));
}

function exploreFile(index: Index, nid: number): void {
  tolerate(() => index.stat(nid));
  tolerate(() => index.xattrs(nid));
  tolerate(() => index.extents(nid));
  tolerate(() => index.readlink(nid));
  tolerate(() => index.readdir(nid));
  tolerate(() => index.lookup(nid, 'f'));
}

/** @returns `undefined` when it threw an error that a caller can act on */
function tolerate<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof MicaError && error.code !== 'INTERNAL') return undefined;
    throw error;
  }
}

const INTERESTING = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0xffffffff,
];

interface Damage {
  readonly at: number;
  readonly value: number;
  readonly width: number;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  value: fc.oneof(fc.constantFrom(...INTERESTING), fc.nat({ max: 0xffffffff })),
  width: fc.constantFrom(0, 1, 2, 4),
});

/** Overwrites fields where they lie (`width` 0 flips a bit), in the image's first bytes as often as elsewhere. */
function damaged(image: Buffer, all: readonly Damage[]): Buffer {
  const bytes = Buffer.from(image);
  for (const [i, { at, value, width }] of all.entries()) {
    const range = i % 2 === 0 ? bytes.length - 1024 : 512;
    const offset = 1024 + Math.floor((at * range) / 4) * 4 + (value % 3) * (width < 4 ? 1 : 0);
    if (offset + 4 > bytes.length) continue;
    if (width === 0) bytes[offset]! ^= 1 << (value & 7);
    else bytes.writeUIntLE(value % 256 ** width, offset, width);
  }
  bytes.writeUInt32LE(0, 1024 + SB.checksum);
  return bytes;
}

describe('a damaged image', () => {
  const images = [fixture('compact.erofs'), fixture('tar-index.erofs')];

  test('of any of our trees gives coded errors, or something else to read', () => {
    fc.assert(
      fc.property(
        anyPlan(),
        fc.array(fc.array(damage, { minLength: 1, maxLength: 6 }), { minLength: 8, maxLength: 8 }),
        (plan, attempts) => {
          const image = indexBytes(plant(plan), OPTIONS);
          for (const all of attempts) tolerate(() => explore(damaged(image, all)));
        },
      ),
      { numRuns: 60 },
    );
  });

  for (const [i, image] of images.entries())
    test(`by another tool gives coded errors, or something else to read (${i + 1})`, () => {
      fc.assert(
        fc.property(fc.array(damage, { minLength: 1, maxLength: 6 }), (all) => {
          tolerate(() => explore(damaged(image, all)));
        }),
        { numRuns: 3000 },
      );
    });

  test('cut off anywhere gives coded errors', () => {
    for (const image of images)
      for (let length = 0; length < image.length; length += 61)
        tolerate(() => explore(image.subarray(0, length)));
  });

  test('that is nothing of the kind is refused', () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(1 << 20), Buffer.alloc(4096, 0xff)])
      assert.throws(() => openIndex(bytes), { code: 'DATA_LOSS' });
  });
});

/** An image of `/a/b/c`, to be changed by hand. */
function nested(): { image: Buffer; nids: number[] } {
  const root = new Node(S_IFDIR | 0o755);
  let node = root;
  for (const name of ['a', 'b', 'c']) {
    const child = new Node(S_IFDIR | 0o755);
    node.children!.set(name, child);
    node = child;
  }
  node.children!.set('file', new Node(S_IFREG | 0o644));
  const image = indexBytes(root, OPTIONS);
  using index = openIndex(image);
  const nids = [index.root];
  for (const name of ['a', 'b', 'c', 'file']) nids.push(index.lookup(nids.at(-1)!, name)!);
  image.writeUInt32LE(0, 1024 + SB.checksum);
  return { image, nids };
}

/** Where the dirent of `name` lies that is the only one besides `.` and `..`. */
const direntAt = (nid: number): number => nid * 32 + 64 + 2 * 12;

describe('an image that lies', () => {
  test('about a directory that lies in itself does not make a walk endless', () => {
    for (const [parent, child] of [
      [3, 1],
      [3, 3],
      [3, 0],
      [0, 0],
      [1, 1],
    ] as const) {
      const { image, nids } = nested();
      image.writeUInt32LE(nids[child]!, direntAt(nids[parent]!));
      image.writeUInt8(2, direntAt(nids[parent]!) + 10);
      using index = openIndex(image);
      const stack = openStack([index]);
      const directory = stack.lookup(['a', 'b', 'c'].slice(0, parent))!;
      assert.throws(() => stack.readdir(directory), { code: 'DATA_LOSS' });
      const name = ['a', 'b', 'c', 'file'][parent]!;
      assert.throws(() => stack.child(directory, name), { code: 'DATA_LOSS' });
    }
  });

  test('about directories that share their entries does not make a walk long', () => {
    const root = new Node(S_IFDIR | 0o755);
    const file = new Node(S_IFREG | 0o644);
    for (let d = 0; d < 100; d++) {
      const directory = new Node(S_IFDIR | 0o755);
      for (let i = 0; i < 100; i++) directory.children!.set(`file-${i}`, file);
      root.children!.set(`d${d}`, directory);
    }
    const whole = indexBytes(root, OPTIONS);
    using before = openIndex(whole);
    const [first = 0, ...others] = before
      .readdir(before.root)
      .map(({ nid }) => nid * 32 + INODE.i_u);
    for (const other of others) whole.copy(whole, other, first, first + 4);
    const image = whole.subarray(0, (whole.readUInt32LE(first) + 4) * 512);
    image.writeUInt32LE(0, 1024 + SB.checksum);
    using index = openIndex(image);
    const stack = openStack([index]);
    const walk = (): void => {
      for (const { node } of stack.readdir(stack.root!)) stack.readdir(node);
    };
    assert.throws(walk, { code: 'DATA_LOSS' });
  });

  test('about the type of a directory is found out', () => {
    const { image, nids } = nested();
    image.writeUInt8(1, direntAt(nids[1]!) + 10);
    using index = openIndex(image);
    const stack = openStack([index]);
    assert.throws(() => stack.readdir(stack.lookup(['a'])!), { code: 'DATA_LOSS' });
  });

  test('about names that leave the tree is refused', () => {
    for (const [name, at] of [
      ['/', 0],
      ['\0', 0],
    ] as const) {
      const { image, nids } = nested();
      image.write(name, nids[3]! * 32 + 64 + 3 * 12 + 3 + at, 'latin1');
      using index = openIndex(image);
      assert.throws(() => index.readdir(nids[3]!), { code: 'DATA_LOSS' });
    }
  });

  test('about sizes costs no memory', () => {
    for (const [slot, size] of [
      [1, 2 ** 40],
      [4, 2 ** 50],
    ] as const) {
      const { image, nids } = nested();
      const inode = nids[slot]! * 32;
      image.writeBigUInt64LE(BigInt(size), inode + INODE.i_size);
      if (slot === 4) image.writeUInt16LE(1 | (4 << 1), inode);
      using index = openIndex(image);
      const call = (): unknown => (slot === 1 ? index.readdir(nids[1]!) : index.extents(nids[4]!));
      assert.throws(call, { code: 'DATA_LOSS' });
    }
  });

  test('about its root, which is no directory, is refused', () => {
    for (const mode of [S_IFCHR, S_IFREG | 0o644]) {
      const { image, nids } = nested();
      image.writeUInt16LE(mode, nids[0]! * 32 + INODE.i_mode);
      assert.throws(() => openIndex(image), { code: 'DATA_LOSS' });
    }
  });

  test('by its checksum is refused', () => {
    const image = indexBytes(new Node(S_IFDIR | 0o755), OPTIONS);
    image[1024 + SB.uuid]! ^= 1;
    assert.throws(() => openIndex(image), { code: 'DATA_LOSS' });
  });

  test('about nothing but needs what is not known yet is refused as such', () => {
    for (const [field, value] of [
      [SB.feature_incompat, 0x100],
      [SB.feature_incompat + 3, 0x80],
      [SB.blkszbits, 20],
      [SB.dirblkbits, 1],
    ] as const) {
      const image = indexBytes(new Node(S_IFDIR | 0o755), OPTIONS);
      image.writeUInt32LE(0, 1024 + SB.checksum);
      if (value > 0xff) image.writeUInt16LE(value, 1024 + field);
      else image.writeUInt8(value, 1024 + field);
      assert.throws(() => openIndex(image), { code: 'NOT_IMPLEMENTED' });
    }
  });
});
