import { kernelError } from '../errno.ts';
import { IOC, ioctl, performed } from './ioctl.ts';
import { ITEM, search, TREE, u64 } from './search.ts';

/**
 * Quota groups: what a subvolume has, counted by the file system, and bounds of it. Each subvolume
 * has one group of the same number.
 * @see btrfs-quota(8)
 */

/** `simple`: who wrote something first has it, also when others share it. */
export type QuotaMode = 'off' | 'full' | 'simple';

const ENABLE = 1n;
const MAX_EXCLUSIVE = 1n << 1n;
const SIMPLE = 1 << 3;
/** Of `struct btrfs_ioctl_qgroup_limit_args`. */
const LIMIT = { id: 0, flags: 8, maxExclusive: 24, size: 48 } as const;
/** Of `struct btrfs_qgroup_status_item`. */
const STATUS_FLAGS = 16;
const ENOENT = 2;
const EBUSY = 16;
const ENOTCONN = 107;

/** @param fd - of anything on the file system */
export function quotaMode(fd: number): QuotaMode {
  const key = { objectid: 0, type: ITEM.quotaStatus, offset: 0 };
  for (const { data } of search(fd, { tree: TREE.quota, from: key, to: key }))
    return (u64(data, STATUS_FLAGS) & SIMPLE) === 0 ? 'full' : 'simple';
  return 'off';
}

/** Lets the file system count, if it does not yet. What is there already is counted in the background. */
export function enableQuota(fd: number): void {
  if (quotaMode(fd) !== 'off') return;
  const args = Buffer.alloc(16);
  args.writeBigUInt64LE(ENABLE);
  performed(fd, IOC.QUOTA_CTL, args, ['enable quotas', '']);
}

/** Bounds what subvolume `id` alone has, shared with no other, in bytes; nothing more can be written then (EDQUOT). */
export function limitExclusive(fd: number, id: number, bytes: number): void {
  const args = Buffer.alloc(LIMIT.size);
  args.writeBigUInt64LE(BigInt(id), LIMIT.id);
  args.writeBigUInt64LE(MAX_EXCLUSIVE, LIMIT.flags);
  args.writeBigUInt64LE(BigInt(bytes), LIMIT.maxExclusive);
  performed(fd, IOC.QGROUP_LIMIT, args, ['limit subvolume', String(id)]);
}

/**
 * Forgets the group of a subvolume that was deleted, where the kernel does not by itself (before Linux 6.12);
 * one that does has it while there is something of the subvolume.
 */
export function forgetQuota(fd: number, id: number): void {
  const args = Buffer.alloc(16);
  args.writeBigUInt64LE(BigInt(id), 8);
  const result = ioctl(fd, IOC.QGROUP_CREATE, args);
  if (result < 0 && ![-ENOENT, -EBUSY, -ENOTCONN].includes(result))
    throw kernelError(-result, 'remove quota group', String(id));
}
