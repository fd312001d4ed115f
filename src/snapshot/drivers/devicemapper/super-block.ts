import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { MicaError } from '../../../errors.ts';
import { crc32c } from '../../../erofs/crc32c.ts';
import { fromNode } from '../../../sys/errno.ts';
import type { FileSystem, Holding } from './state.ts';

/** What the first blocks of a file system that is not mounted say. */
export interface SuperBlock extends Holding {
  /** As 32 hex digits. */
  readonly uuid: string;
  /** It ended well: nothing failed, nothing is left to be replayed. */
  readonly isClean: boolean;
}

const SIZE = 1024;

/** @see fs/ext4/ext4.h, `struct ext4_super_block`. Little endian, 1024 bytes into the device. */
const EXT4 = {
  at: 1024,
  inodes: 0x00,
  blocks: 0x04,
  freeBlocks: 0x0c,
  freeInodes: 0x10,
  logBlockSize: 0x18,
  magic: 0x38,
  state: 0x3a,
  incompat: 0x60,
  uuid: 0x68,
  blocksHigh: 0x150,
  freeBlocksHigh: 0x158,
  errors: 0x194,
  checksum: 0x3fc,
} as const;
const EXT4_MAGIC = 0xef53;
const EXT4_VALID = 1;
const EXT4_NEEDS_RECOVERY = 0x4;

/** @see fs/xfs/libxfs/xfs_format.h, `struct xfs_dsb`. Big endian. */
const XFS = {
  at: 0,
  magic: 0,
  blockSize: 4,
  blocks: 8,
  uuid: 32,
  inodes: 128,
  freeInodes: 136,
  freeBlocks: 144,
} as const;
const XFS_MAGIC = 0x58465342;

/** @throws DATA_LOSS when there is none */
export function readSuperBlock(device: string, type: FileSystem): SuperBlock {
  const block = read(device, type === 'ext4' ? EXT4.at : XFS.at);
  const found = type === 'ext4' ? parseExt4(block) : parseXfs(block);
  if (found !== undefined) return found;
  throw new MicaError('DATA_LOSS', `${device} does not hold a file system ${type}`);
}

function parseExt4(b: Buffer): SuperBlock | undefined {
  if (b.readUInt16LE(EXT4.magic) !== EXT4_MAGIC) return undefined;
  const blockSize = 1024 << b.readUInt32LE(EXT4.logBlockSize);
  const wide = (low: number, high: number): number =>
    b.readUInt32LE(low) + b.readUInt32LE(high) * 2 ** 32;
  const used = wide(EXT4.blocks, EXT4.blocksHigh) - wide(EXT4.freeBlocks, EXT4.freeBlocksHigh);
  return {
    size: used * blockSize,
    inodes: b.readUInt32LE(EXT4.inodes) - b.readUInt32LE(EXT4.freeInodes),
    uuid: b.toString('hex', EXT4.uuid, EXT4.uuid + 16),
    isClean:
      b.readUInt16LE(EXT4.state) === EXT4_VALID &&
      b.readUInt32LE(EXT4.errors) === 0 &&
      (b.readUInt32LE(EXT4.incompat) & EXT4_NEEDS_RECOVERY) === 0,
  };
}

/** Whether its log is empty is known by replaying it only: one that was unmounted has nothing in it. */
function parseXfs(b: Buffer): SuperBlock | undefined {
  if (b.readUInt32BE(XFS.magic) !== XFS_MAGIC) return undefined;
  const wide = (at: number): number => Number(b.readBigUInt64BE(at));
  return {
    size: (wide(XFS.blocks) - wide(XFS.freeBlocks)) * b.readUInt32BE(XFS.blockSize),
    inodes: wide(XFS.inodes) - wide(XFS.freeInodes),
    uuid: b.toString('hex', XFS.uuid, XFS.uuid + 16),
    isClean: true,
  };
}

/**
 * Gives an ext4 that is not mounted a UUID of its own. It was made with `metadata_csum_seed`: no
 * checksum but that of this block depends on the UUID.
 */
export function setExt4Uuid(device: string, uuid: string): void {
  const block = read(device, EXT4.at);
  Buffer.from(uuid, 'hex').copy(block, EXT4.uuid);
  block.writeUInt32LE(crc32c(block.subarray(0, EXT4.checksum)), EXT4.checksum);
  try {
    const fd = openSync(device, 'r+');
    try {
      writeSync(fd, block, 0, SIZE, EXT4.at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fromNode(error);
  }
}

function read(device: string, at: number): Buffer {
  const block = Buffer.alloc(SIZE);
  try {
    const fd = openSync(device, 'r');
    try {
      readSync(fd, block, 0, SIZE, at);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fromNode(error);
  }
  return block;
}
