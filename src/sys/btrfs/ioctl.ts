import { addressOf, syscall, syscallInBackground } from '../binding.ts';
import { checked } from '../errno.ts';
import { NR } from '../syscalls.ts';

/**
 * The calls of a btrfs file system that no other has.
 * @see include/uapi/linux/btrfs.h, btrfs-ioctl(2)
 */

const MAGIC = 0x94;
const [WRITE, READ] = [1, 2];

const number = (direction: number, nr: number, size: number): number =>
  direction * 2 ** 30 + size * 2 ** 16 + MAGIC * 2 ** 8 + nr;

/** Size of `struct btrfs_ioctl_vol_args` and of its second version. */
export const VOLUME_ARGS = 4096;

export const IOC: Readonly<Record<Request, number>> = {
  SYNC: number(0, 8, 0),
  SUBVOL_CREATE: number(WRITE, 14, VOLUME_ARGS),
  TREE_SEARCH_V2: number(READ | WRITE, 17, 112),
  SNAP_CREATE_V2: number(WRITE, 23, VOLUME_ARGS),
  SUBVOL_GETFLAGS: number(READ, 25, 8),
  SUBVOL_SETFLAGS: number(WRITE, 26, 8),
  QUOTA_CTL: number(READ | WRITE, 40, 16),
  QGROUP_CREATE: number(WRITE, 42, 16),
  QGROUP_LIMIT: number(READ, 43, 48),
  GET_SUBVOL_INFO: number(READ, 60, 504),
  SNAP_DESTROY_V2: number(WRITE, 63, VOLUME_ARGS),
};

type Request =
  | 'SYNC'
  | 'SUBVOL_CREATE'
  | 'TREE_SEARCH_V2'
  | 'SNAP_CREATE_V2'
  | 'SUBVOL_GETFLAGS'
  | 'SUBVOL_SETFLAGS'
  | 'QUOTA_CTL'
  | 'QGROUP_CREATE'
  | 'QGROUP_LIMIT'
  | 'GET_SUBVOL_INFO'
  | 'SNAP_DESTROY_V2';

/** @returns what the call returns; a failure as the negative errno */
export const ioctl = (fd: number, request: number, args: Uint8Array): number =>
  syscall(NR.ioctl, fd, request, addressOf(args));

/** @param what - was attempted, on `subject`, for the error message */
export const performed = (
  fd: number,
  request: number,
  args: Uint8Array,
  what: readonly [call: string, subject: string],
): number => checked(ioctl(fd, request, args), ...what);

/** Writes everything to the disk, and wakes up what clears away deleted subvolumes. */
export async function syncAndClean(fd: number): Promise<void> {
  checked(await syscallInBackground(NR.ioctl, fd, IOC.SYNC), 'btrfs sync', '');
}
