import { MicaError } from '../errors.ts';
import { AT_FDCWD, close, minorOf, O_RDONLY, O_RDWR, openat } from './at.ts';
import { addressOf, syscall } from './binding.ts';
import { toBytes, writeBytes } from './byte-string.ts';
import { checked, errnoOf, kernelError } from './errno.ts';
import { statat } from './stat.ts';
import { NR } from './syscalls.ts';

/**
 * Loop devices: a file as a block device.
 * @see loop(4), include/uapi/linux/loop.h
 */

const LOOP_GET_STATUS64 = 0x4c05;
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CTL_GET_FREE = 0x4c82;
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
const LO_FLAGS_DIRECT_IO = 16;
const LOOP_MAJOR = 7;
const EBUSY = 16;
const EINVAL = 22;

/** Of `struct loop_info64`: where the fields used here are. */
const INFO = { device: 0, inode: 8, flags: 52, fileName: 56, size: 232 } as const;
const FILE_NAME = 64;
/** `struct loop_config`: descriptor, block size, loop_info64, 64 reserved bytes. */
const CONFIG = { fd: 0, blockSize: 4, info: 8, size: 8 + INFO.size + 64 } as const;
const BLOCK_SIZE = 512;

/** Others that look for a free device at the same time get in the way so often at most. */
const ATTEMPTS = 100;

/** A loop device, kept by an open descriptor: once that is closed the device ends with its last mount. */
export interface LoopDevice extends Disposable {
  readonly path: string;
}

export interface LoopOptions {
  /** Default: nobody can write to it. */
  readonly writable?: boolean;
}

/**
 * Makes the file at `path` a block device with blocks of 512 bytes, which reads past the
 * page cache of the file where its file system allows that: the pages are cached once, not twice.
 */
export function attachLoop(path: string, { writable = false }: LoopOptions = {}): LoopDevice {
  const access = writable ? O_RDWR : O_RDONLY;
  const file = openat(AT_FDCWD, toBytes(path), access);
  try {
    for (let attempt = 1; ; attempt++) {
      const device = openFree(access);
      const result = configure(device.fd, file, { path, writable });
      if (result >= 0) return device;
      device[Symbol.dispose]();
      // Somebody was faster.
      if (result !== -EBUSY || attempt === ATTEMPTS)
        throw kernelError(-result, 'loop device for', toBytes(path));
    }
  } finally {
    close(file);
  }
}

/**
 * Whether the block device `rdev` is a loop device of the file at `path`: an older kernel tells
 * nothing else about what is mounted.
 */
export function isLoopOf(device: string, path: string): boolean {
  const [major, minor] = device.split(':').map(Number);
  if (major !== LOOP_MAJOR) return false;
  const file = statat(AT_FDCWD, toBytes(path));
  const fd = openat(AT_FDCWD, `/dev/loop${minor}`, O_RDONLY);
  try {
    const info = Buffer.alloc(INFO.size);
    if (syscall(NR.ioctl, fd, LOOP_GET_STATUS64, addressOf(info)) < 0) return false;
    return (
      String(info.readBigUInt64LE(INFO.inode)) === file.ino &&
      deviceName(Number(info.readBigUInt64LE(INFO.device))) === file.dev
    );
  } finally {
    close(fd);
  }
}

const deviceName = (encoded: number): string => `${(encoded >>> 8) & 0xfff}:${minorOf(encoded)}`;

function openFree(access: number): LoopDevice & { readonly fd: number } {
  const control = openControl();
  try {
    const number = checked(syscall(NR.ioctl, control, LOOP_CTL_GET_FREE), 'loop device', '');
    const path = `/dev/loop${number}`;
    let fd = openat(AT_FDCWD, path, access);
    return {
      path,
      fd,
      [Symbol.dispose]() {
        if (fd >= 0) close(fd);
        fd = -1;
      },
    };
  } finally {
    close(control);
  }
}

function openControl(): number {
  try {
    return openat(AT_FDCWD, '/dev/loop-control', O_RDONLY);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw new MicaError(
      'NOT_IMPLEMENTED',
      'loop device: there is no /dev/loop-control here; load the kernel module loop, or give this container its devices',
      { cause: error },
    );
  }
}

function configure(
  device: number,
  file: number,
  { path, writable }: Required<LoopOptions> & { readonly path: string },
): number {
  const flags = (writable ? 0 : LO_FLAGS_READ_ONLY) | LO_FLAGS_AUTOCLEAR;
  const direct = configureWith(device, file, { path, flags: flags | LO_FLAGS_DIRECT_IO });
  return direct === -EINVAL ? configureWith(device, file, { path, flags }) : direct;
}

function configureWith(
  device: number,
  file: number,
  { path, flags }: { readonly path: string; readonly flags: number },
): number {
  const config = Buffer.alloc(CONFIG.size);
  config.writeUInt32LE(file, CONFIG.fd);
  config.writeUInt32LE(BLOCK_SIZE, CONFIG.blockSize);
  config.writeUInt32LE(flags, CONFIG.info + INFO.flags);
  // For people who list loop devices only.
  writeBytes(config, toBytes(path).slice(0, FILE_NAME - 1), CONFIG.info + INFO.fileName);
  return syscall(NR.ioctl, device, LOOP_CONFIGURE, addressOf(config));
}
