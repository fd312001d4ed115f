import type { Extent, IndexDevice, Xattr } from './node.ts';
import { S_IFCHR, S_IFDIR, S_IFMT } from './node.ts';

/**
 * An EROFS image open for reading: the index of one layer. Everything is synchronous.
 *
 * Nothing in the image is trusted. Any method may throw DATA_LOSS (what it read contradicts itself
 * or lies outside of the image) or NOT_IMPLEMENTED (compressed data and other features not read here).
 * Inodes are named by their `nid`. Names, targets and xattr names are byte strings.
 */
export interface Index extends Disposable {
  /** The root directory's nid. */
  readonly root: number;
  /** 32 hex digits. */
  readonly uuid: string;
  /** `devices[0]` is device 1. Sizes are rounded up to whole blocks. */
  readonly devices: readonly IndexDevice[];
  /** In bytes. */
  readonly blockSize: number;
  /** How many inodes the image says it has. */
  readonly inodes: number;
  /** Of the image itself, in bytes: bounds what a walk may believe. */
  readonly size: number;
  stat(nid: number): Inode;
  /** `undefined` when there is no such name. `.` and `..` work. @throws FAILED_PRECONDITION when `directory` is none */
  lookup(directory: number, name: string): number | undefined;
  /** Without `.` and `..`, in byte order. @throws FAILED_PRECONDITION when `directory` is none */
  readdir(directory: number): IndexDirent[];
  /** @throws FAILED_PRECONDITION when it is no symbolic link */
  readlink(nid: number): string;
  /** Sorted by name. */
  xattrs(nid: number): Xattr[];
  /** Where a regular file's content lies; holes are left out. @throws FAILED_PRECONDITION when it is no regular file */
  extents(nid: number): Extent[];
  /** Reads from the image itself (device 0 of an {@link Extent}) until `into` is full. */
  read(physical: number, into: Uint8Array): void;
  /** Closing twice is harmless. */
  close(): void;
}

export interface Inode {
  readonly nid: number;
  /** Type and permission bits, as in `st_mode`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** In bytes. */
  readonly size: number;
  /** Seconds since 1970, may be negative. */
  readonly mtime: number;
  /** Nanoseconds, 0 to 999,999,999. */
  readonly mtimeNs: number;
  readonly nlink: number;
  /** See `makeDevice`; 0 for what is no device. */
  readonly rdev: number;
  /** Whether asking for xattrs can give any. */
  readonly hasXattrs: boolean;
}

export interface IndexDirent {
  readonly name: string;
  readonly nid: number;
  /** `S_IFMT` bits, as the directory has them; {@link Index.stat} is the truth. 0 when unknown. */
  readonly type: number;
}

/** "Deleted here", as overlayfs spells it. */
export const isWhiteout = (inode: Inode): boolean =>
  (inode.mode & S_IFMT) === S_IFCHR && inode.rdev === 0;

/** Whether this directory hides what lower layers have in it. */
export function isOpaque(index: Index, inode: Inode): boolean {
  if (!inode.hasXattrs) return false;
  return index.xattrs(inode.nid).some(
    ({ name, value }) =>
      (name === 'trusted.overlay.opaque' || name === 'user.overlay.opaque') &&
      value.length === 1 &&
      value[0] === 0x79, // 'y'
  );
}

/** Marks that layering leaves in an index are no attributes of the file. */
export const isMark = (name: string): boolean =>
  name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.');

/** Whether a root is as it is when no archive describes it: 0755, of root, of 1970, without xattrs. */
export const isMadeUp = (
  index: Index,
  { nid, mode, uid, gid, mtime, mtimeNs, hasXattrs }: Inode,
): boolean =>
  mode === (S_IFDIR | 0o755) &&
  uid === 0 &&
  gid === 0 &&
  mtime === 0 &&
  mtimeNs === 0 &&
  !(hasXattrs && index.xattrs(nid).some(({ name }) => !isMark(name)));
