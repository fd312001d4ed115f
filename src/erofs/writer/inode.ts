import { MicaError } from '../../errors.ts';
import * as F from '../format.ts';
import type { Node } from '../node.ts';
import { S_IFBLK, S_IFCHR, S_IFMT, S_IFREG, UNMAPPED_DEVICE } from '../node.ts';
import type { ChunkMap } from './chunks.ts';
import { BLOCK_SIZE } from './chunks.ts';
import type { Layout } from './layout.ts';
import { NOT_CHUNKED } from './layout.ts';
import type { Output } from './output.ts';
import type { PooledXattr, XattrSet } from './xattr-pool.ts';

/** The extended inode itself. */
export function writeInode(output: Output, layout: Layout, slot: number): void {
  const node = layout.nodes[slot]!;
  const xattrs = layout.xattrSets[slot]!.size;
  checkNode(node);
  const at = output.reserve(F.INODE_EXTENDED_SIZE);
  const { view } = output;
  view.setUint16(at + F.INODE.i_format, formatOf(layout, slot), true);
  if (xattrs > 0) {
    const words = (xattrs - F.XATTR_IBODY_HEADER_SIZE) / 4 + 1;
    output.buffer.writeUInt16LE(words, at + F.INODE.i_xattr_icount);
  }
  view.setUint16(at + F.INODE.i_mode, node.mode, true);
  writeQuad(view, layout.sizes[slot]!, at + F.INODE.i_size);
  view.setUint32(at + F.INODE.i_u, unionOf(layout, slot), true);
  view.setUint32(at + F.INODE.i_ino, slot + 1, true);
  view.setUint32(at + F.EXTENDED.i_uid, node.uid, true);
  view.setUint32(at + F.EXTENDED.i_gid, node.gid, true);
  writeQuad(view, node.mtime, at + F.EXTENDED.i_mtime);
  view.setUint32(at + F.EXTENDED.i_mtime_nsec, node.mtimeNs, true);
  view.setUint32(at + F.EXTENDED.i_nlink, layout.nlinks[slot]!, true);
}

function formatOf(layout: Layout, slot: number): number {
  const inline = layout.tails[slot]! > 0 ? F.INODE_FLAT_INLINE : F.INODE_FLAT_PLAIN;
  const data = layout.chunkBits[slot] === NOT_CHUNKED ? inline : F.INODE_CHUNK_BASED;
  return F.INODE_LAYOUT_EXTENDED | (data << F.I_DATALAYOUT_BIT);
}

function unionOf(layout: Layout, slot: number): number {
  const bits = layout.chunkBits[slot]!;
  if (bits !== NOT_CHUNKED) return bits | F.CHUNK_FORMAT_INDEXES;
  const node = layout.nodes[slot]!;
  const type = node.mode & S_IFMT;
  if (type === S_IFCHR || type === S_IFBLK) return node.rdev;
  if (type !== S_IFREG || node.size === 0) return layout.blocks.get(slot) ?? 0;
  const { device, physical } = node.extents![0]!;
  return layout.deviceBlocks[device - 1]! + physical / BLOCK_SIZE;
}

function checkNode({ mode, uid, gid, size, mtime, mtimeNs, rdev }: Node): void {
  const valid =
    F.FILE_TYPES[mode >>> 12] &&
    isWord(uid) &&
    isWord(gid) &&
    isWord(rdev) &&
    isWord(mtimeNs) &&
    mtimeNs < 1e9 &&
    size >= 0 &&
    Number.isSafeInteger(size) &&
    Number.isSafeInteger(mtime);
  if (!valid)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `write index: no file can have mode 0${mode.toString(8)}, owner ${uid}:${gid}, size ${size}, time ${mtime} s ${mtimeNs} ns and device ${rdev}`,
    );
}

const isWord = (value: number): boolean => value >>> 0 === value;

/** A signed 64-bit number. */
function writeQuad(view: DataView, value: number, at: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setInt32(at + 4, Math.floor(value / 2 ** 32), true);
}

/** What follows an inode that has xattrs. */
export function writeXattrs(
  output: Output,
  { shared, inline }: XattrSet,
  sharedStart: number,
): void {
  let at = output.reserve(F.XATTR_IBODY_HEADER_SIZE + 4 * shared.length);
  output.buffer.writeUInt8(shared.length, at + F.XATTR_SHARED_COUNT);
  at += F.XATTR_IBODY_HEADER_SIZE;
  for (const { offset } of shared) {
    output.buffer.writeUInt32LE((sharedStart + offset) / 4, at);
    at += 4;
  }
  for (const xattr of inline) writeXattr(output, xattr);
}

export function writeXattr(output: Output, { index, rest, value, size }: PooledXattr): void {
  const at = output.reserve(size);
  const b = output.buffer;
  b.writeUInt8(rest.length, at);
  b.writeUInt8(index, at + 1);
  b.writeUInt16LE(value.length, at + 2);
  b.write(rest, at + F.XATTR_ENTRY_SIZE, 'latin1');
  b.set(value, at + F.XATTR_ENTRY_SIZE + rest.length);
}

/** The chunk indexes of a regular file. */
export function writeChunks(output: Output, layout: Layout, slot: number): void {
  output.padTo(Math.ceil(output.position / F.CHUNK_INDEX_SIZE) * F.CHUNK_INDEX_SIZE);
  const map = layout.chunks.get(slot);
  if (map) return writeMap(output, map, layout.blocks.get(slot) ?? 0);
  const chunkSize = BLOCK_SIZE * 2 ** layout.chunkBits[slot]!;
  const { device, physical } = layout.nodes[slot]!.extents![0]!;
  for (let logical = 0; logical < layout.sizes[slot]!; logical += chunkSize)
    writeChunk(output, device, (physical + logical) / BLOCK_SIZE);
}

/** @param copied first block of what was copied into the image */
function writeMap(output: Output, map: ChunkMap, copied: number): void {
  let current = 0;
  for (let chunk = 0; chunk < map.count; chunk++) {
    const block = chunk * 2 ** map.bits;
    let run = map.runs[current];
    while (run && run.start + run.count <= block) run = map.runs[++current];
    if (!run || run.start > block) writeChunk(output, 0, F.NULL_ADDR);
    else if (run.device === UNMAPPED_DEVICE) writeChunk(output, run.device, F.NULL_ADDR);
    else
      writeChunk(
        output,
        run.device,
        (run.device === 0 ? copied : 0) + run.block + block - run.start,
      );
  }
}

function writeChunk(output: Output, device: number, block: number): void {
  const at = output.reserve(F.CHUNK_INDEX_SIZE);
  output.buffer.writeUInt16LE(device, at + 2);
  output.buffer.writeUInt32LE(block, at + 4);
}
