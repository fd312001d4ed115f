import { closeSync, openSync, statfsSync } from 'node:fs';
import { addressOf, hasKernel, syscall } from './binding.ts';
import { NR } from './syscalls.ts';

const BTRFS_SUPER_MAGIC = 0x9123_683e;
/** @see ioctl_iflags(2) */
const FS_IOC_SETFLAGS = 0x4008_6602;
const FS_NOCOW_FL = 0x0080_0000;

/**
 * Makes the file at `path`, empty, if there is none, so that what is written into it later stays where
 * it lies. On btrfs a write takes new space each time otherwise, also one through a mapping, which
 * ends the process with SIGBUS when the disk is full. Elsewhere, and where it cannot be, nothing
 * happens. Linux 6.18 does so; older kernels may look for new space all the same.
 */
export function makeInPlace(path: string, directory: string, mode: number): void {
  if (!hasKernel()) return;
  let fd: number | undefined;
  try {
    if (statfsSync(directory).type !== BTRFS_SUPER_MAGIC) return;
    fd = openSync(path, 'wx', mode);
    const flags = new BigInt64Array([BigInt(FS_NOCOW_FL)]);
    syscall(NR.ioctl, fd, FS_IOC_SETFLAGS, addressOf(new Uint8Array(flags.buffer)));
  } catch {
    // It is there already, or this disk is full or for reading only: who opens it says so.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
