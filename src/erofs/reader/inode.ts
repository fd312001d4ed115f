import { MicaError } from '../../errors.ts';
import * as F from '../format.ts';
import type { Inode } from '../index-file.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../node.ts';
import type { ImageBytes } from './pages.ts';
import type { Superblock } from './superblock.ts';

/** An inode with what is needed to find its parts. */
export interface DiskInode extends Inode {
  /** `INODE_FLAT_PLAIN`, … */
  readonly layout: number;
  /** First byte behind the inode itself: its xattrs, or its data if there are none. */
  readonly end: number;
  /** Size of the inline xattrs with their header, in bytes. */
  readonly xattrSize: number;
  /** First block of flat data; -1: all of it is a hole. */
  readonly startBlock: number;
  readonly chunkFormat: number;
}

/** @throws DATA_LOSS when it is none, NOT_IMPLEMENTED when its format is newer than this reader */
export function decodeInode(bytes: ImageBytes, superblock: Superblock, nid: number): DiskInode {
  const offset = superblock.metaStart + nid * (1 << F.EROFS_SLOT_BITS);
  const compact = bytes.locate(offset, F.INODE_COMPACT_SIZE);
  const format = bytes.buffer.readUInt16LE(compact + F.INODE.i_format);
  if (format & ~F.I_ALL)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `read inode ${nid}: unknown format 0x${format.toString(16)}`,
    );
  const extended = (format & F.INODE_LAYOUT_EXTENDED) !== 0;
  const start = extended ? bytes.locate(offset, F.INODE_EXTENDED_SIZE) : compact;
  const read = extended ? decodeExtended : decodeCompact;
  return read(bytes.buffer, start, { offset, nid, format, superblock });
}

interface Place {
  readonly offset: number;
  readonly nid: number;
  readonly format: number;
  readonly superblock: Superblock;
}

function decodeExtended(b: Buffer, at: number, place: Place): DiskInode {
  const size = b.readUInt32LE(at + F.INODE.i_size) + b.readUInt32LE(at + 12) * 2 ** 32;
  const mtimeNs = b.readUInt32LE(at + F.EXTENDED.i_mtime_nsec);
  const seconds = b.readInt32LE(at + F.EXTENDED.i_mtime + 4) * 2 ** 32;
  return common(b, at, place, {
    uid: b.readUInt32LE(at + F.EXTENDED.i_uid),
    gid: b.readUInt32LE(at + F.EXTENDED.i_gid),
    size,
    mtime: seconds + b.readUInt32LE(at + F.EXTENDED.i_mtime),
    mtimeNs,
    nlink: b.readUInt32LE(at + F.EXTENDED.i_nlink),
    inodeSize: F.INODE_EXTENDED_SIZE,
    startHigh: b.readUInt16LE(at + F.INODE.i_nb),
  });
}

function decodeCompact(b: Buffer, at: number, place: Place): DiskInode {
  const single =
    (place.format & F.I_NLINK_1) !== 0 &&
    (b.readUInt16LE(at + F.INODE.i_mode) & S_IFMT) !== S_IFDIR;
  const nb = b.readUInt16LE(at + F.INODE.i_nb);
  return common(b, at, place, {
    uid: b.readUInt16LE(at + F.COMPACT.i_uid),
    gid: b.readUInt16LE(at + F.COMPACT.i_gid),
    size: b.readUInt32LE(at + F.INODE.i_size),
    mtime: place.superblock.epoch + b.readUInt32LE(at + F.COMPACT.i_mtime),
    mtimeNs: place.superblock.fixedNs,
    nlink: single ? 1 : nb,
    inodeSize: F.INODE_COMPACT_SIZE,
    startHigh: single ? nb : 0,
  });
}

interface Varying {
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly nlink: number;
  readonly inodeSize: number;
  readonly startHigh: number;
}

function common(b: Buffer, at: number, place: Place, inode: Varying): DiskInode {
  const { nid, format, offset } = place;
  const mode = b.readUInt16LE(at + F.INODE.i_mode);
  const type = mode & S_IFMT;
  const union = b.readUInt32LE(at + F.INODE.i_u);
  const icount = b.readUInt16LE(at + F.INODE.i_xattr_icount);
  const xattrSize = icount === 0 ? 0 : F.XATTR_IBODY_HEADER_SIZE + 4 * (icount - 1);
  if (!TYPES.has(type)) throw damaged(nid, `mode 0${mode.toString(8)} has no type`);
  if (!Number.isSafeInteger(inode.size)) throw damaged(nid, `a size of ${inode.size} bytes`);
  if (!Number.isSafeInteger(inode.mtime) || inode.mtimeNs > 999_999_999)
    throw damaged(nid, `a time of ${inode.mtime} s ${inode.mtimeNs} ns`);
  return {
    nid,
    mode,
    uid: inode.uid,
    gid: inode.gid,
    size: inode.size,
    mtime: inode.mtime,
    mtimeNs: inode.mtimeNs,
    nlink: inode.nlink,
    rdev: type === S_IFCHR || type === S_IFBLK ? union : 0,
    hasXattrs: xattrSize > F.XATTR_IBODY_HEADER_SIZE,
    layout: (format >> F.I_DATALAYOUT_BIT) & F.I_DATALAYOUT_MASK,
    end: offset + inode.inodeSize,
    xattrSize,
    startBlock: startBlock(union, inode.startHigh, inode.inodeSize),
    chunkFormat: union & 0xffff,
  };
}

/** All ones is a hole: 48 bits of them where there is room for so many. */
function startBlock(low: number, high: number, inodeSize: number): number {
  const hole =
    low === F.NULL_ADDR && (high === 0xffff || (inodeSize === F.INODE_COMPACT_SIZE && high === 0));
  return hole ? -1 : high * 2 ** 32 + low;
}

const TYPES: ReadonlySet<number> = new Set([
  S_IFREG,
  S_IFDIR,
  S_IFLNK,
  S_IFCHR,
  S_IFBLK,
  S_IFIFO,
  S_IFSOCK,
]);

export function damaged(nid: number, what: string): MicaError {
  return new MicaError('DATA_LOSS', `read inode ${nid}: ${what}; the index is damaged`);
}
