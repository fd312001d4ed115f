import { realpathSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { AT_FDCWD, close, makedev, mknodat, O_RDONLY, O_RDWR, openat } from './at.ts';
import { addressOf, syscall } from './binding.ts';
import { toBytes } from './byte-string.ts';
import { checked } from './errno.ts';
import { findat } from './stat.ts';
import { NR } from './syscalls.ts';

/** @see include/uapi/linux/fs.h */
const BLKDISCARD = 0x1277;
const BLKGETSIZE64 = 0x8008_1272;
const S_IFBLK = 0o060000;
/** So much is discarded by one call, in bytes: others get their turn in between. */
const PIECE = 2 ** 30;

/** Of a block device, in bytes. */
export function sizeOfDevice(path: string): number {
  const fd = openat(AT_FDCWD, toBytes(path), O_RDONLY);
  try {
    const size = Buffer.alloc(8);
    checked(syscall(NR.ioctl, fd, BLKGETSIZE64, addressOf(size)), 'size of', toBytes(path));
    return Number(size.readBigUInt64LE());
  } finally {
    close(fd);
  }
}

/** Gives back what a block device has stored, all of it. */
export async function discardDevice(path: string): Promise<void> {
  const size = sizeOfDevice(path);
  const fd = openat(AT_FDCWD, toBytes(path), O_RDWR);
  try {
    const range = Buffer.alloc(16);
    for (let at = 0; at < size; at += PIECE) {
      range.writeBigUInt64LE(BigInt(at), 0);
      range.writeBigUInt64LE(BigInt(Math.min(PIECE, size - at)), 8);
      checked(syscall(NR.ioctl, fd, BLKDISCARD, addressOf(range)), 'discard', toBytes(path));
      await setImmediate();
    }
  } finally {
    close(fd);
  }
}

/** Number of the block device that `path` names or leads to; `undefined` for anything else. */
export function blockDeviceAt(path: string): number | undefined {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    return undefined;
  }
  const stat = findat(AT_FDCWD, toBytes(real));
  return stat !== undefined && (stat.mode & 0o170000) === S_IFBLK ? stat.rdev : undefined;
}

/** Makes a name for a block device, unless there is one. */
export function nameDevice(path: string, major: number, minor: number): void {
  if (blockDeviceAt(path) === makedev(major, minor)) return;
  mknodat(AT_FDCWD, toBytes(path), S_IFBLK | 0o600, makedev(major, minor));
}
