import { IOC, ioctl } from './ioctl.ts';
import { kernelError } from '../errno.ts';

/**
 * Reading the trees of a mounted btrfs file system. Only the root of the machine may.
 * @see BTRFS_IOC_TREE_SEARCH_V2 in btrfs-ioctl(2); include/uapi/linux/btrfs_tree.h
 */

/** Trees that are not a subvolume's. */
export const TREE = { roots: 1, quota: 8 } as const;

/** Types of items. */
export const ITEM = {
  inode: 1,
  inodeRef: 12,
  inodeExtref: 13,
  extentData: 108,
  root: 132,
  rootRef: 156,
  quotaStatus: 240,
} as const;

/** Of an item, or the bound of a search. Numbers beyond 2⁵³ are those that the file system keeps for itself. */
export interface Key {
  readonly objectid: number;
  readonly type: number;
  readonly offset: number;
}

/** Valid until the search goes on. */
export interface Item extends Key {
  readonly data: Buffer;
}

export interface Search {
  /** Of a subvolume, or one of {@link TREE}. */
  readonly tree: number;
  /** Default: the first item. */
  readonly from?: Key;
  /** Default: the last item. */
  readonly to?: Key;
  /** Leaves out what lies in blocks that were written in this transaction or earlier. */
  readonly since?: number;
}

const KEY = { size: 104, count: 64 } as const;
const HEADER = 32;
/** The largest block of a tree that btrfs can have. */
const ROOM = 64 * 1024;
const ENOENT = 2;
const LAST = 2n ** 64n - 1n;

/**
 * The items of a tree in order. What is not on the disk yet may not be among them.
 * @param fd - of anything on the file system
 * @returns nothing where there is no such tree
 */
export function* search(fd: number, { tree, from, to, since = -1 }: Search): Generator<Item> {
  const args = Buffer.alloc(KEY.size + 8 + ROOM);
  args.writeBigUInt64LE(BigInt(tree), 0);
  writeKey(args, 'min', from ?? FIRST);
  if (to === undefined) {
    args.writeBigUInt64LE(LAST, 16);
    args.writeBigUInt64LE(LAST, 32);
    args.writeUInt32LE(255, 60);
  } else writeKey(args, 'max', to);
  args.writeBigUInt64LE(BigInt(since + 1), 40);
  args.writeBigUInt64LE(LAST, 48);
  args.writeBigUInt64LE(BigInt(ROOM), KEY.size);
  for (;;) {
    args.writeUInt32LE(0xffffffff, KEY.count);
    const result = ioctl(fd, IOC.TREE_SEARCH_V2, args);
    if (result === -ENOENT) return;
    if (result < 0) throw kernelError(-result, 'btrfs tree search', '');
    const count = args.readUInt32LE(KEY.count);
    if (count === 0) return;
    const last = yield* items(args, count);
    if (!advance(args, last)) return;
  }
}

const FIRST: Key = { objectid: 0, type: 0, offset: 0 };

/** @returns where the header of the last one is */
function* items(args: Buffer, count: number): Generator<Item, number> {
  let [at, header] = [KEY.size + 8, 0];
  for (let n = 0; n < count; n++) {
    header = at;
    const length = args.readUInt32LE(at + 28);
    at += HEADER + length;
    yield {
      objectid: u64(args, header + 8),
      type: args.readUInt32LE(header + 24),
      offset: u64(args, header + 16),
      data: args.subarray(header + HEADER, at),
    };
  }
  return header;
}

/** Lets the search go on behind an item. @returns whether there can be more */
function advance(args: Buffer, header: number): boolean {
  const objectid = args.readBigUInt64LE(header + 8);
  const offset = args.readBigUInt64LE(header + 16);
  const type = args.readUInt32LE(header + 24);
  args.writeBigUInt64LE(objectid, 8);
  args.writeBigUInt64LE(offset === LAST ? 0n : offset + 1n, 24);
  args.writeUInt32LE(type, 56);
  if (offset < LAST) return true;
  if (type < 255) args.writeUInt32LE(type + 1, 56);
  else if (objectid < LAST) {
    args.writeUInt32LE(0, 56);
    args.writeBigUInt64LE(objectid + 1n, 8);
  } else return false;
  return true;
}

/** @see struct btrfs_ioctl_search_key */
function writeKey(args: Buffer, bound: 'min' | 'max', { objectid, type, offset }: Key): void {
  const shift = bound === 'min' ? 0 : 8;
  args.writeBigUInt64LE(BigInt(objectid), 8 + shift);
  args.writeBigUInt64LE(BigInt(offset), 24 + shift);
  args.writeUInt32LE(type, 56 + shift / 2);
}

/** Exact up to 2⁵³. */
export const u64 = (bytes: Buffer, at: number): number =>
  bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
