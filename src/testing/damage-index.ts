import * as F from '../erofs/format.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../erofs/node.ts';
import { openIndex } from '../erofs/read.ts';
import { decodeInode, type DiskInode } from '../erofs/reader/inode.ts';
import { bytesOf } from '../erofs/reader/pages.ts';
import { decodeSuperblock, type Superblock } from '../erofs/reader/superblock.ts';

/** A number in an image, so that damage can be aimed at what a reader believes. */
export interface Field {
  readonly at: number;
  /** In bytes. */
  readonly width: 1 | 2 | 4 | 8;
}

/** Every field of a sound image: superblock, devices, inodes, chunks, xattrs, directories. */
export function fieldsOf(image: Buffer): Field[] {
  const superblock = decodeSuperblock(bytesOf(image));
  const fields = superblockFields(image);
  const inodes = inodesOf(image, superblock);
  for (const inode of inodes) fields.push(...inodeFields(inode, superblock));
  for (const inode of inodes) fields.push(...contentFields(image, superblock, inode));
  return fields.filter(({ at, width }) => at + width <= image.length);
}

const SUPERBLOCK: readonly (readonly [keyof typeof F.SB, Field['width']])[] = [
  ['feature_compat', 4],
  ['blkszbits', 1],
  ['sb_extslots', 1],
  ['rootnid_2b', 2],
  ['inos', 8],
  ['epoch', 8],
  ['fixed_nsec', 4],
  ['blocks_lo', 4],
  ['meta_blkaddr', 4],
  ['xattr_blkaddr', 4],
  ['feature_incompat', 1],
  ['extra_devices', 2],
  ['devt_slotoff', 2],
  ['dirblkbits', 1],
  ['xattr_prefix_count', 1],
  ['xattr_prefix_start', 4],
  ['packed_nid', 8],
  ['rootnid_8b', 8],
];

function superblockFields(image: Buffer): Field[] {
  const start = F.EROFS_SUPER_OFFSET;
  const fields = SUPERBLOCK.map(([name, width]): Field => ({ at: start + F.SB[name], width }));
  const count = image.readUInt16LE(start + F.SB.extra_devices);
  const table = image.readUInt16LE(start + F.SB.devt_slotoff) * F.EROFS_DEVT_SLOT_SIZE;
  for (let slot = table; slot < table + count * F.EROFS_DEVT_SLOT_SIZE; slot += 128)
    fields.push(
      { at: slot, width: 8 },
      { at: slot + F.DEVICE_SLOT.blocks_lo, width: 4 },
      { at: slot + F.DEVICE_SLOT.uniaddr_lo, width: 4 },
      { at: slot + F.DEVICE_SLOT.blocks_hi, width: 2 },
      { at: slot + F.DEVICE_SLOT.uniaddr_hi, width: 2 },
    );
  return fields;
}

function inodesOf(image: Buffer, superblock: Superblock): DiskInode[] {
  using index = openIndex(image);
  const found = new Map<number, DiskInode>();
  const visit = (nid: number): void => {
    if (found.has(nid)) return;
    const inode = decodeInode(bytesOf(image), superblock, nid);
    found.set(nid, inode);
    if ((inode.mode & S_IFMT) !== S_IFDIR) return;
    for (const entry of index.readdir(nid)) visit(entry.nid);
  };
  visit(index.root);
  return [...found.values()];
}

function inodeFields({ nid, end }: DiskInode, { metaStart }: Superblock): Field[] {
  const start = metaStart + nid * 2 ** F.EROFS_SLOT_BITS;
  const common: (readonly [number, Field['width']])[] = [
    [F.INODE.i_format, 2],
    [F.INODE.i_format, 1],
    [F.INODE.i_xattr_icount, 2],
    [F.INODE.i_mode, 2],
    [F.INODE.i_nb, 2],
    [F.INODE.i_size, 4],
    [F.INODE.i_u, 4],
    [F.INODE.i_u, 2],
  ];
  const extended: typeof common = [
    [F.INODE.i_size, 8],
    [F.EXTENDED.i_mtime, 8],
    [F.EXTENDED.i_mtime_nsec, 4],
    [F.EXTENDED.i_nlink, 4],
  ];
  const all = end - start === F.INODE_EXTENDED_SIZE ? [...common, ...extended] : common;
  return all.map(([offset, width]) => ({ at: start + offset, width }));
}

function contentFields(image: Buffer, superblock: Superblock, inode: DiskInode): Field[] {
  const fields = inode.hasXattrs ? xattrFields(image, superblock, inode) : [];
  const type = inode.mode & S_IFMT;
  const behind = inode.end + inode.xattrSize;
  if (type === S_IFREG && inode.layout === F.INODE_CHUNK_BASED) {
    const table = Math.ceil(behind / F.CHUNK_INDEX_SIZE) * F.CHUNK_INDEX_SIZE;
    for (let at = table; at < table + 8 * F.CHUNK_INDEX_SIZE; at += F.CHUNK_INDEX_SIZE)
      fields.push({ at, width: 2 }, { at: at + 2, width: 2 }, { at: at + 4, width: 4 });
  }
  if (type === S_IFLNK) fields.push({ at: behind, width: 1 });
  if (type === S_IFDIR) fields.push(...directoryFields(image, superblock, inode));
  return fields;
}

function xattrFields(image: Buffer, { xattrStart }: Superblock, inode: DiskInode): Field[] {
  const count = inode.end + F.XATTR_SHARED_COUNT;
  const fields: Field[] = [{ at: count, width: 1 }];
  const entry = (at: number): number => {
    if (at + 4 > image.length) return 4;
    const size = 4 + image[at]! + image.readUInt16LE(at + 2);
    fields.push({ at, width: 1 }, { at: at + 1, width: 1 }, { at: at + 2, width: 2 });
    fields.push({ at: at + 4, width: 1 });
    return (size + 3) & ~3;
  };
  let at = inode.end + F.XATTR_IBODY_HEADER_SIZE;
  for (let i = 0; i < image[count]!; i++, at += 4) {
    fields.push({ at, width: 4 });
    entry(xattrStart + 4 * image.readUInt32LE(at));
  }
  while (at < inode.end + inode.xattrSize) at += entry(at);
  return fields;
}

/** The entries of each block, and the first byte of each name. */
function directoryFields(image: Buffer, { blockBits }: Superblock, inode: DiskInode): Field[] {
  const blockSize = 2 ** blockBits;
  const inline = inode.layout === F.INODE_FLAT_INLINE;
  const whole = inline ? Math.floor(inode.size / blockSize) : Math.ceil(inode.size / blockSize);
  const starts = Array.from({ length: whole }, (_, i) => (inode.startBlock + i) * blockSize);
  if (inline) starts.push(inode.end + inode.xattrSize);
  return starts.flatMap((start) => {
    const names = image.readUInt16LE(start + 8);
    const fields: Field[] = [];
    for (let at = start; at < start + names; at += F.DIRENT_SIZE)
      fields.push(
        { at, width: 8 },
        { at, width: 4 },
        { at: at + 8, width: 2 },
        { at: at + 10, width: 1 },
        { at: start + image.readUInt16LE(at + 8), width: 1 },
      );
    return fields;
  });
}

/** Numbers from 0 to 1, always the same ones for a seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A copy of a sound image with one to six things wrong, and without a checksum that would tell. */
export function damage(image: Buffer, fields: readonly Field[], random: () => number): Buffer {
  let bytes = Buffer.from(image);
  const below = (limit: number): number => Math.floor(random() * limit);
  for (let left = 1 + below(6); left > 0; left--) {
    const kind = random();
    if (kind < 0.85) setField(bytes, fields, random);
    else if (kind < 0.92) bytes[below(bytes.length)]! ^= 1 << below(8);
    else if (kind < 0.97) copyBlocks(bytes, below);
    else bytes = bytes.subarray(0, Math.max(2048, below(bytes.length)));
  }
  bytes.writeUInt32LE(0, F.EROFS_SUPER_OFFSET + F.SB.checksum);
  bytes[F.EROFS_SUPER_OFFSET + F.SB.feature_compat]! &= ~F.FEATURE_COMPAT_SB_CHKSUM;
  return bytes;
}

function copyBlocks(bytes: Buffer, below: (limit: number) => number): void {
  const blocks = bytes.length / 512;
  const from = 512 * below(blocks);
  bytes.copy(bytes, 512 * below(blocks), from, from + 512 * (1 + below(9)));
}

/** Gives a field another's value, one near its own, an extreme one, or any. */
function setField(bytes: Buffer, fields: readonly Field[], random: () => number): void {
  const pick = (): Field => fields[Math.floor(random() * fields.length)]!;
  const { at, width } = pick();
  if (at + width > bytes.length) return;
  const mask = (1n << BigInt(8 * width)) - 1n;
  const kind = random();
  const other = kind < 0.3 ? pick() : { at, width };
  let value = other.at + other.width > bytes.length ? 0n : read(bytes, other);
  if (kind >= 0.3 && kind < 0.55) value += BigInt(Math.floor(random() * 17) - 8);
  else if (kind >= 0.55 && kind < 0.85)
    value = (1n << BigInt(Math.floor(random() * 8 * width))) - BigInt(Math.floor(random() * 3));
  else if (kind >= 0.85)
    value = BigInt(Math.floor(random() * 2 ** 32)) << BigInt(Math.floor(random() * 4) * 8);
  write(bytes, { at, width }, value & mask);
}

function read(bytes: Buffer, { at, width }: Field): bigint {
  return width === 8 ? bytes.readBigUInt64LE(at) : BigInt(bytes.readUIntLE(at, width));
}

function write(bytes: Buffer, { at, width }: Field, value: bigint): void {
  if (width === 8) bytes.writeBigUInt64LE(value, at);
  else bytes.writeUIntLE(Number(value), at, width);
}
