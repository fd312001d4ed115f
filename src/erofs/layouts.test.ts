import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';
import * as F from './format.ts';
import { S_IFDIR, S_IFREG } from './node.ts';
import { openIndex } from './read.ts';

/** Images that no `mkfs.erofs` at hand makes, put together by hand. */
interface Sketch {
  readonly blockBits: number;
  readonly incompat: number;
  /** Bits of the root's `i_format` beside form and layout. */
  readonly directoryFlags: number;
  /** Of the entries of the root directory, `.` first if it has that. */
  readonly dot: boolean;
  /** The only file: its inode, from the block at which data may lie. */
  readonly file: (block: number) => Buffer;
  /** What lies from that block on. */
  readonly data: Buffer;
}

const ROOT = 48;
const FILE = ROOT + 8;
const NID = 32;

function build(sketch: Sketch): Buffer {
  const blockSize = 2 ** sketch.blockBits;
  const block = Math.ceil((FILE * NID + 512) / blockSize);
  const image = Buffer.concat([Buffer.alloc(block * blockSize), sketch.data]);
  const sb = image.subarray(F.EROFS_SUPER_OFFSET);
  const wide = (sketch.incompat & F.FEATURE_INCOMPAT_48BIT) !== 0;
  sb.writeUInt32LE(F.EROFS_SUPER_MAGIC_V1, F.SB.magic);
  sb.writeUInt32LE(F.FEATURE_COMPAT_SB_CHKSUM, F.SB.feature_compat);
  sb.writeUInt8(sketch.blockBits, F.SB.blkszbits);
  if (wide) sb.writeBigUInt64LE(BigInt(ROOT), F.SB.rootnid_8b);
  else sb.writeUInt16LE(ROOT, F.SB.rootnid_2b);
  sb.writeBigInt64LE(-1000n, F.SB.epoch);
  sb.writeUInt32LE(77, F.SB.fixed_nsec);
  sb.writeUInt32LE(2, F.SB.inos);
  sb.writeUInt32LE(image.length / blockSize, F.SB.blocks_lo);
  sb.writeUInt32LE(sketch.incompat, F.SB.feature_incompat);
  if (sketch.incompat & F.FEATURE_INCOMPAT_DEVICE_TABLE) {
    sb.writeUInt16LE(1, F.SB.extra_devices);
    sb.writeUInt16LE((F.EROFS_SUPER_OFFSET + F.EROFS_SUPER_SIZE) / 128, F.SB.devt_slotoff);
    const slot = sb.subarray(F.EROFS_SUPER_SIZE);
    slot.writeUInt32LE(7, F.DEVICE_SLOT.blocks_lo);
    slot.writeUInt16LE(0x8001, F.DEVICE_SLOT.blocks_hi);
  }
  directory(sketch).copy(image, ROOT * NID);
  sketch.file(block).copy(image, FILE * NID);
  const end = blockSize > F.EROFS_SUPER_OFFSET ? blockSize - F.EROFS_SUPER_OFFSET : blockSize;
  sb.writeUInt32LE(crc32c(sb.subarray(0, end)), F.SB.checksum);
  return image;
}

const format = (form: number, layout: number, flags: number): number =>
  form | (layout << F.I_DATALAYOUT_BIT) | flags;

function directory({ dot, directoryFlags }: Sketch): Buffer {
  const names = [...(dot ? ['.'] : []), '..', 'file'];
  const tail = names.length * F.DIRENT_SIZE + names.join('').length;
  const b = Buffer.alloc(F.INODE_EXTENDED_SIZE + tail);
  b.writeUInt16LE(format(1, F.INODE_FLAT_INLINE, directoryFlags), F.INODE.i_format);
  b.writeUInt16LE(S_IFDIR | 0o755, F.INODE.i_mode);
  b.writeUInt32LE(tail, F.INODE.i_size);
  b.writeUInt32LE(2, F.EXTENDED.i_nlink);
  let text = names.length * F.DIRENT_SIZE;
  for (const [i, name] of names.entries()) {
    const at = F.INODE_EXTENDED_SIZE + i * F.DIRENT_SIZE;
    b.writeUInt32LE(name === 'file' ? FILE : ROOT, at);
    b.writeUInt16LE(text, at + 8);
    b.writeUInt8(name === 'file' ? 1 : 2, at + 10);
    b.write(name, F.INODE_EXTENDED_SIZE + text, 'latin1');
    text += name.length;
  }
  return b;
}

/** A compact inode of the regular file. */
function compact(layout: number, flags: number, size: number): Buffer {
  const b = Buffer.alloc(F.INODE_COMPACT_SIZE);
  b.writeUInt16LE(format(0, layout, flags), F.INODE.i_format);
  b.writeUInt16LE(S_IFREG | 0o600, F.INODE.i_mode);
  b.writeUInt32LE(size, F.INODE.i_size);
  b.writeUInt32LE(1600, F.COMPACT.i_mtime);
  return b;
}

test('blocks of 64 KiB hold files and tails', () => {
  const data = Buffer.alloc(65_536, 'x');
  const image = build({
    blockBits: 16,
    incompat: 0,
    directoryFlags: 0,
    dot: true,
    data,
    file(block) {
      const inode = compact(F.INODE_FLAT_INLINE, 0, 65_536 + 4);
      inode.writeUInt16LE(3, F.INODE.i_nb);
      inode.writeUInt32LE(block, F.INODE.i_u);
      return Buffer.concat([inode, Buffer.from('tail')]);
    },
  });
  using index = openIndex(image);
  assert.deepEqual(index.readdir(index.root), [{ name: 'file', nid: FILE, type: S_IFREG }]);
  const { size, nlink, mtime, mtimeNs } = index.stat(FILE);
  assert.deepEqual([size, nlink, mtime, mtimeNs], [65_540, 3, 600, 77]);
  const behind = FILE * NID + F.INODE_COMPACT_SIZE;
  assert.deepEqual(index.extents(FILE), [
    { logical: 0, device: 0, physical: 65_536, length: 65_536 },
    { logical: 65_536, device: 0, physical: behind, length: 4 },
  ]);
});

const WIDE = F.FEATURE_INCOMPAT_48BIT | F.FEATURE_INCOMPAT_CHUNKED_FILE;

test('directories may lack the entry for themselves', () => {
  const image = build({
    blockBits: 9,
    incompat: WIDE,
    directoryFlags: F.I_NLINK_1,
    dot: false,
    data: Buffer.alloc(0),
    file: () => compact(F.INODE_FLAT_PLAIN, F.I_NLINK_1, 0),
  });
  using index = openIndex(image);
  assert.equal(index.lookup(index.root, '.'), index.root);
  assert.equal(index.lookup(index.root, '..'), index.root);
  assert.equal(index.lookup(index.root, 'file'), FILE);
  assert.equal(index.stat(FILE).nlink, 1);
});

test('chunks lie at addresses of 48 bits where their format says so, and of 32 where not', () => {
  for (const wide of [true, false]) {
    const image = build({
      blockBits: 9,
      incompat: WIDE | F.FEATURE_INCOMPAT_DEVICE_TABLE,
      directoryFlags: 0,
      dot: true,
      data: Buffer.alloc(0),
      file() {
        const inode = compact(F.INODE_CHUNK_BASED, F.I_NLINK_1, 1000);
        const chunks = Buffer.alloc(16);
        inode.writeUInt16LE(F.CHUNK_FORMAT_INDEXES | (wide ? F.CHUNK_FORMAT_48BIT : 0), 0x10);
        for (const [at, low] of [[0, 5] as const, [8, wide ? 0xffffffff : 6] as const]) {
          chunks.writeUInt16LE(at === 0 ? 0x8001 : 0xffff, at);
          chunks.writeUInt16LE(1, at + 2);
          chunks.writeUInt32LE(low, at + 4);
        }
        return Buffer.concat([inode, chunks]);
      },
    });
    using index = openIndex(image);
    assert.deepEqual(index.devices, [{ tag: '', size: (0x8001 * 2 ** 32 + 7) * 512 }]);
    const [physical, length] = wide ? [(0x8001 * 2 ** 32 + 5) * 512, 512] : [5 * 512, 1000];
    assert.deepEqual(index.extents(FILE), [{ logical: 0, device: 1, physical, length }]);
  }
});

test('flat data lie at addresses of 48 bits, and all bits set are a hole', () => {
  for (const [low, high, hole] of [
    [1, 0, false],
    [0xffffffff, 0xffff, true],
  ] as const) {
    const image = build({
      blockBits: 12,
      incompat: WIDE,
      directoryFlags: 0,
      dot: true,
      data: Buffer.alloc(4096, 'x'),
      file() {
        const inode = compact(F.INODE_FLAT_PLAIN, F.I_NLINK_1, 4000);
        inode.writeUInt32LE(low, F.INODE.i_u);
        inode.writeUInt16LE(high, F.INODE.i_nb);
        return inode;
      },
    });
    using index = openIndex(image);
    const whole = { logical: 0, device: 0, physical: 4096, length: 4000 };
    assert.deepEqual(index.extents(FILE), hole ? [] : [whole]);
  }
});
