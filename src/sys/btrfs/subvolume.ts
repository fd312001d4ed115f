import { statfsSync } from 'node:fs';
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../at.ts';
import { addressOf, syscall } from '../binding.ts';
import { sliceBytes, writeBytes } from '../byte-string.ts';
import { checked, fromNode, kernelError } from '../errno.ts';
import { statat } from '../stat.ts';
import { NR } from '../syscalls.ts';
import { IOC, ioctl, performed, VOLUME_ARGS } from './ioctl.ts';
import { ITEM, search, TREE, u64 } from './search.ts';

/**
 * Subvolumes: file trees of a btrfs file system that can be snapshotted, each a directory in another.
 * Names are byte strings, ids those of the tree.
 */

export interface Subvolume {
  readonly id: number;
  /** The transaction in which it was made a snapshot of another; 0: it is none. */
  readonly snapshotted: number;
}

/** A subvolume in another. */
export interface Nested {
  readonly id: number;
  /** Number of the directory that it is in, and its name there. */
  readonly directory: number;
  readonly name: string;
}

const BTRFS_SUPER_MAGIC = 0x9123683e;
const FIRST_INODE = '256';
const SPEC_BY_ID = 1n << 4n;
const READONLY = 1n << 1n;
/** Of `struct btrfs_ioctl_vol_args` and its second version. */
const ARGS = { fd: 0, name: 8 } as const;
const ARGS_V2 = { fd: 0, flags: 16, name: 56 } as const;
/** Of `struct btrfs_ioctl_get_subvol_info_args`. */
const INFO = { id: 0, parentUuid: 312, created: 352, size: 504 } as const;
/** `struct btrfs_fid`, as open_by_handle_at(2) takes it; its last field, a generation, may be 0: any. */
const HANDLE = { size: 20, withoutParent: 0x4d } as const;
const EINVAL = 22;
const ENOENT = 2;

/** Whether the existing `path` is on a btrfs file system. */
export function isOnBtrfs(path: string): boolean {
  try {
    return statfsSync(path).type === BTRFS_SUPER_MAGIC;
  } catch (error) {
    throw fromNode(error);
  }
}

/** Whether the open directory, if it is on btrfs, is the root of a subvolume. */
export const isSubvolume = (fd: number): boolean => statat(fd, '').ino === FIRST_INODE;

/** Makes an empty subvolume in the open directory `dirfd`. */
export function createSubvolume(dirfd: number, name: string): void {
  const args = Buffer.alloc(VOLUME_ARGS);
  writeName(args, name, ARGS.name);
  performed(dirfd, IOC.SUBVOL_CREATE, args, ['create subvolume', name]);
}

/** Makes a writable snapshot of the subvolume whose root is `source`. All that was written there is in it. */
export function snapshotSubvolume(source: number, dirfd: number, name: string): void {
  const args = Buffer.alloc(VOLUME_ARGS);
  args.writeBigInt64LE(BigInt(source), ARGS_V2.fd);
  writeName(args, name, ARGS_V2.name);
  performed(dirfd, IOC.SNAP_CREATE_V2, args, ['create snapshot', name]);
}

/** The subvolume whose root is `fd`. */
export function subvolumeOf(fd: number): Subvolume {
  const info = Buffer.alloc(INFO.size);
  performed(fd, IOC.GET_SUBVOL_INFO, info, ['read subvolume', '']);
  const isSnapshot = info.subarray(INFO.parentUuid, INFO.parentUuid + 16).some((byte) => byte > 0);
  return { id: u64(info, INFO.id), snapshotted: isSnapshot ? u64(info, INFO.created) : 0 };
}

/**
 * Opens the root of subvolume `id`, wherever it is; no path is looked at.
 * @param fd - of anything on the file system
 */
export function openSubvolume(fd: number, id: number): number {
  const handle = Buffer.alloc(8 + HANDLE.size);
  handle.writeUInt32LE(HANDLE.size, 0);
  handle.writeUInt32LE(HANDLE.withoutParent, 4);
  handle.writeBigUInt64LE(BigInt(FIRST_INODE), 8);
  handle.writeBigUInt64LE(BigInt(id), 16);
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  const opened = syscall(NR.open_by_handle_at, fd, addressOf(handle), flags);
  return checked(opened, 'open subvolume', String(id));
}

export function isReadonly(fd: number): boolean {
  const flags = Buffer.alloc(8);
  performed(fd, IOC.SUBVOL_GETFLAGS, flags, ['read subvolume', '']);
  return (flags.readBigUInt64LE() & READONLY) !== 0n;
}

/** Lets a subvolume be written to, if the open directory is the root of one that is read-only. */
export function unlockSubvolume(fd: number): void {
  if (!isSubvolume(fd)) return;
  const flags = Buffer.alloc(8);
  // Fails on any other file system that has such a number.
  const isOne = ioctl(fd, IOC.SUBVOL_GETFLAGS, flags) === 0;
  if (isOne && (flags.readBigUInt64LE() & READONLY) !== 0n) setReadonly(fd, false);
}

/** Whether anybody may write into the subvolume whose root is `fd`. */
export function setReadonly(fd: number, readonly: boolean): void {
  if (isReadonly(fd) === readonly) return;
  const flags = Buffer.alloc(8);
  flags.writeBigUInt64LE(readonly ? READONLY : 0n);
  performed(fd, IOC.SUBVOL_SETFLAGS, flags, ['set subvolume read-only', '']);
}

/**
 * Removes a subvolume, wherever it is, with everything in it but other subvolumes, of which there must
 * be none. Its space comes back later. One that is not there (any more) is fine.
 * @param fd - of anything on the file system
 */
export function destroySubvolume(fd: number, id: number): void {
  const args = Buffer.alloc(VOLUME_ARGS);
  args.writeBigUInt64LE(SPEC_BY_ID, ARGS_V2.flags);
  args.writeBigUInt64LE(BigInt(id), ARGS_V2.name);
  const result = ioctl(fd, IOC.SNAP_DESTROY_V2, args);
  if (result < 0 && result !== -ENOENT) throw kernelError(-result, 'delete subvolume', String(id));
}

/** The subvolumes that are directly in subvolume `id`. */
export function nestedIn(fd: number, id: number): Nested[] {
  const key = { objectid: id, type: ITEM.rootRef };
  const range = { from: { ...key, offset: 0 }, to: { ...key, offset: Number.MAX_SAFE_INTEGER } };
  const found: Nested[] = [];
  for (const { offset, data } of search(fd, { tree: TREE.roots, ...range }))
    found.push({ id: offset, directory: u64(data, 0), name: sliceBytes(data, 18, data.length) });
  return found;
}

/** Subvolume `id` and all that are in it, the innermost first. */
export function withNested(fd: number, id: number): number[] {
  const all = [id];
  for (const each of all) for (const nested of nestedIn(fd, each)) all.push(nested.id);
  return all.reverse();
}

/** Whether subvolume `id` is there, or was deleted and still takes space. */
export function takesSpace(fd: number, id: number): boolean {
  const key = { objectid: id, type: ITEM.root };
  const range = { from: { ...key, offset: 0 }, to: { ...key, offset: Number.MAX_SAFE_INTEGER } };
  for (const _ of search(fd, { tree: TREE.roots, ...range })) return true;
  return false;
}

/** @throws INVALID_ARGUMENT for a path */
function writeName(args: Buffer, name: string, at: number): void {
  if (name.length === 0 || name.length > 255 || name.includes('/') || name.includes('\0'))
    throw kernelError(EINVAL, 'name subvolume', name);
  writeBytes(args, name, at);
}
