import { DIRENT_SIZE, EROFS_NAME_LEN, FILE_TYPES } from '../format.ts';
import type { IndexDirent } from '../index-file.ts';
import { damaged } from './inode.ts';

/**
 * One block of a directory in a buffer: first its dirents, then their names.
 * @see https://github.com/torvalds/linux/blob/v6.16/Documentation/filesystems/erofs.rst#directories
 */
export interface DirectoryBlock {
  readonly buffer: Buffer;
  readonly start: number;
  /** In bytes. */
  readonly length: number;
  /** How many dirents it has. */
  readonly count: number;
  /** Of the directory, for messages. */
  readonly nid: number;
}

/** Type bits of a mode, by `file_type`. */
const TYPES: readonly number[] = Array.from({ length: 8 }, (_, type) =>
  type === 0 ? 0 : FILE_TYPES.indexOf(type) << 12,
);

export function openBlock(
  buffer: Buffer,
  start: number,
  length: number,
  nid: number,
): DirectoryBlock {
  const names = length < DIRENT_SIZE ? 0 : buffer.readUInt16LE(start + 8);
  if (names < DIRENT_SIZE || names % DIRENT_SIZE !== 0 || names > length)
    throw damaged(nid, `a directory block of ${length} bytes whose names begin at ${names}`);
  return { buffer, start, length, count: names / DIRENT_SIZE, nid };
}

/** Negative, zero or positive: `name` is before, at or behind entry `index`. */
export function compareName(name: Buffer, block: DirectoryBlock, index: number): number {
  const { buffer } = block;
  const start = nameStart(block, index);
  const end = nameEnd(block, index, start);
  const length = Math.min(name.length, end - start);
  for (let i = 0; i < length; i++) {
    const difference = name[i]! - buffer[start + i]!;
    if (difference !== 0) return difference;
  }
  return name.length - (end - start);
}

export function nidOf(block: DirectoryBlock, index: number): number {
  const at = block.start + index * DIRENT_SIZE;
  const nid = block.buffer.readUInt32LE(at) + block.buffer.readUInt32LE(at + 4) * 2 ** 32;
  if (!Number.isSafeInteger(nid)) throw damaged(block.nid, `an entry with inode number ${nid}`);
  return nid;
}

/** Entry `index` of the block. @throws DATA_LOSS for a name that no file can have */
export function entryOf(block: DirectoryBlock, index: number): IndexDirent {
  const start = nameStart(block, index);
  const end = nameEnd(block, index, start);
  const name = block.buffer.toString('latin1', start, end);
  if (end === start || end - start > EROFS_NAME_LEN || name.includes('/') || name.includes('\0'))
    throw damaged(block.nid, `an entry named ${JSON.stringify(name.slice(0, 300))}`);
  const type = block.buffer[block.start + index * DIRENT_SIZE + 10]!;
  return { name, nid: nidOf(block, index), type: TYPES[type] ?? 0 };
}

function nameStart(block: DirectoryBlock, index: number): number {
  const offset = block.buffer.readUInt16LE(block.start + index * DIRENT_SIZE + 8);
  if (offset < block.count * DIRENT_SIZE || offset >= block.length)
    throw damaged(block.nid, `entry ${index} whose name is at ${offset} of a block`);
  return block.start + offset;
}

/** The last name ends with the block, or at the first NUL. */
function nameEnd(block: DirectoryBlock, index: number, start: number): number {
  if (index < block.count - 1) {
    const end = nameStart(block, index + 1);
    if (end <= start) throw damaged(block.nid, `entry ${index} without a name`);
    return end;
  }
  const limit = block.start + block.length;
  const nul = block.buffer.indexOf(0, start);
  return nul === -1 || nul > limit ? limit : nul;
}
