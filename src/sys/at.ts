import { constants } from 'node:fs';
import { addressOf, cstring, syscall } from './binding.ts';
import { sliceBytes } from './byte-string.ts';
import { checked, kernelError } from './errno.ts';
import { NR } from './syscalls.ts';

/**
 * Names below open directories. Every name is a *byte string* (one UTF-16 unit per byte), handed to
 * the kernel unchanged; every failure is a MicaError with the errno as its cause.
 */

export const AT_FDCWD = -100;
export const AT_REMOVEDIR = 0x200;
export const AT_EMPTY_PATH = 0x1000;

export const O_RDONLY: number = constants.O_RDONLY;
export const O_WRONLY: number = constants.O_WRONLY;
export const O_RDWR: number = constants.O_RDWR;
export const O_CREAT: number = constants.O_CREAT;
export const O_EXCL: number = constants.O_EXCL;
export const O_DIRECTORY: number = constants.O_DIRECTORY;
export const O_NOFOLLOW: number = constants.O_NOFOLLOW;
export const O_NONBLOCK: number = constants.O_NONBLOCK;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;

const AT_SYMLINK_NOFOLLOW = 0x100;
const EINVAL = 22;

export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
/** A path that leads out of the directory fails. */
export const RESOLVE_BENEATH = 0x08;
/** The directory is `/`: `..` and absolute links stay inside. */
export const RESOLVE_IN_ROOT = 0x10;

export interface OpenHow {
  /** `O_CLOEXEC` is added. */
  readonly flags: number;
  readonly mode?: number;
  /** `RESOLVE_…`, or-ed. */
  readonly resolve: number;
}

/** `struct open_how`: three numbers of 64 bits, little-endian as both architectures are. */
const how = new Uint32Array(6);
const howBytes = new Uint8Array(how.buffer);

/** Opens `path` below `dirfd` by the rules of `resolve`. @returns a file descriptor */
export function openat2(dirfd: number, path: string, options: OpenHow): number {
  const name = named(path, 'openat2');
  how[0] = options.flags | O_CLOEXEC;
  how[2] = options.mode ?? 0;
  how[4] = options.resolve;
  for (;;) {
    const fd = syscall(NR.openat2, dirfd, name, addressOf(howBytes), howBytes.length);
    // A rename elsewhere made the walk inconclusive: the kernel asks to try again.
    if (fd !== -11) return checked(fd, 'openat2', path);
  }
}

/** Opens one name. `O_CLOEXEC` is added. @returns a file descriptor */
export const openat = (dirfd: number, name: string, flags: number, mode = 0): number =>
  checked(syscall(NR.openat, dirfd, named(name, 'open'), flags | O_CLOEXEC, mode), 'open', name);

/** The descriptor of directory `name` for names below it: it cannot be read, and is never a link. */
export const opendirat = (dirfd: number, name: string): number =>
  openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);

export function close(fd: number): void {
  checked(syscall(NR.close, fd), 'close', '');
}

export function mkdirat(dirfd: number, name: string, mode: number): void {
  checked(syscall(NR.mkdirat, dirfd, named(name, 'mkdir'), mode), 'mkdir', name);
}

/** @param mode - with type bits. @param rdev - see {@link makedev}. */
export function mknodat(dirfd: number, name: string, mode: number, rdev = 0): void {
  checked(syscall(NR.mknodat, dirfd, named(name, 'mknod'), mode, rdev), 'mknod', name);
}

export function symlinkat(target: string, dirfd: number, name: string): void {
  const address = cstring(target, 1);
  if (address === 0) throw kernelError(EINVAL, 'symlink', target);
  checked(syscall(NR.symlinkat, address, dirfd, named(name, 'symlink')), 'symlink', name);
}

/** A second name for `from`, which is never followed when it is a symbolic link. */
export function linkat(fromDir: number, from: string, toDir: number, to: string): void {
  const address = cstring(from, 1);
  if (address === 0) throw kernelError(EINVAL, 'link', from);
  checked(syscall(NR.linkat, fromDir, address, toDir, named(to, 'link'), 0), 'link', to);
}

/** @param flags - `AT_REMOVEDIR` for an empty directory. */
export function unlinkat(dirfd: number, name: string, flags = 0): void {
  checked(syscall(NR.unlinkat, dirfd, named(name, 'unlink'), flags), 'unlink', name);
}

export const RENAME_NOREPLACE = 1;
/** Each takes the place of the other. */
export const RENAME_EXCHANGE = 2;

export function renameat(
  fromDir: number,
  from: string,
  toDir: number,
  to: string,
  flags = 0,
): void {
  const address = cstring(from, 1);
  if (address === 0) throw kernelError(EINVAL, 'rename', from);
  checked(syscall(NR.renameat2, fromDir, address, toDir, named(to, 'rename'), flags), 'rename', to);
}

export function readlinkat(dirfd: number, name: string): string {
  const buffer = Buffer.allocUnsafeSlow(4096);
  const length = checked(
    syscall(NR.readlinkat, dirfd, named(name, 'readlink'), addressOf(buffer), buffer.length),
    'readlink',
    name,
  );
  return sliceBytes(buffer, 0, length);
}

/** Never follows a link. */
export function fchownat(dirfd: number, name: string, uid: number, gid: number): void {
  const result = syscall(
    NR.fchownat,
    dirfd,
    named(name, 'chown'),
    uid,
    gid,
    AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH,
  );
  checked(result, 'chown', name);
}

/** Follows a link: only for names that are known to be none. */
export function fchmodat(dirfd: number, name: string, mode: number): void {
  checked(syscall(NR.fchmodat, dirfd, named(name, 'chmod'), mode), 'chmod', name);
}

/** Two timespecs, little-endian as both architectures are. */
const times = new Int32Array(8);

/** Address of a timespec pair that sets access and modification time alike. */
export function timespecs(seconds: number, nanoseconds: number): number {
  times[0] = times[4] = seconds | 0;
  times[1] = times[5] = Math.floor(seconds / 2 ** 32);
  times[2] = times[6] = nanoseconds;
  return addressOf(timesBytes);
}

const timesBytes = new Uint8Array(times.buffer);

/** Sets access and modification time, exact to the nanosecond; never follows a link. */
export function utimensat(dirfd: number, name: string, seconds: number, nanoseconds: number): void {
  const path = named(name, 'utimens');
  const at = timespecs(seconds, nanoseconds);
  // Of the descriptor itself since Linux 5.8.
  const flags = name === '' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  checked(syscall(NR.utimensat, dirfd, path, at, flags), 'utimens', name);
}

/** Device number in the kernel's 32-bit encoding. */
export const makedev = (major: number, minor: number): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;

export const majorOf = (rdev: number): number => (rdev >>> 8) & 0xfff;

export const minorOf = (rdev: number): number => (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);

function named(name: string, call: string): number {
  const address = cstring(name);
  if (address === 0) throw kernelError(EINVAL, call, name);
  return address;
}
