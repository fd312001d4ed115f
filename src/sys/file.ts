import { addressOf, syscall, syscallInBackground } from './binding.ts';
import { timespecs } from './at.ts';
import { checked, kernelError } from './errno.ts';
import { NR } from './syscalls.ts';

/** Calls on an open file. `subject` is its name, for the error message only. */

const EINTR = 4;
const FICLONE = 0x40049409;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Writes all of `bytes` at the file's position. */
export function write(fd: number, bytes: Uint8Array, subject: string): void {
  let at = addressOf(bytes);
  let left = bytes.length;
  while (left > 0) {
    const done = syscall(NR.write, fd, at, left);
    if (done === -EINTR) continue;
    checked(done, 'write', subject);
    at += done;
    left -= done;
  }
}

/** Writes all of `bytes` at `offset`. */
export function pwrite(fd: number, bytes: Uint8Array, offset: number, subject: string): void {
  let [at, left, to] = [addressOf(bytes), bytes.length, offset];
  while (left > 0) {
    const done = syscall(NR.pwrite64, fd, at, left, to);
    if (done === -EINTR) continue;
    checked(done, 'write', subject);
    at += done;
    left -= done;
    to += done;
  }
}

/** Fills `into` from `offset`. @returns the bytes read: fewer than asked for only at the end of the file */
export function pread(fd: number, into: Uint8Array, offset: number, subject: string): number {
  let read = 0;
  while (read < into.length) {
    const at = addressOf(into) + read;
    const done = syscall(NR.pread64, fd, at, into.length - read, offset + read);
    if (done === -EINTR) continue;
    if (checked(done, 'read', subject) === 0) break;
    read += done;
  }
  return read;
}

export function ftruncate(fd: number, size: number, subject: string): void {
  checked(syscall(NR.ftruncate, fd, size), 'truncate', subject);
}

export function fchown(fd: number, uid: number, gid: number, subject: string): void {
  checked(syscall(NR.fchown, fd, uid, gid), 'chown', subject);
}

export function fchmod(fd: number, mode: number, subject: string): void {
  checked(syscall(NR.fchmod, fd, mode), 'chmod', subject);
}

/** Sets access and modification time, exact to the nanosecond. */
export function futimens(fd: number, seconds: number, nanoseconds: number, subject: string): void {
  checked(syscall(NR.utimensat, fd, 0, timespecs(seconds, nanoseconds), 0), 'utimens', subject);
}

/**
 * Makes `to` share the blocks of `from`, where the file system can.
 * @returns whether it did; if not, nothing happened
 */
export const ficlone = (to: number, from: number): boolean =>
  syscall(NR.ioctl, to, FICLONE, from) === 0;

/**
 * Copies inside the kernel, without holes being kept.
 * @returns bytes copied, or -1 where the file systems cannot (read and write instead)
 */
export function copyFileRange(
  from: number,
  fromOffset: number,
  to: number,
  toOffset: number,
  length: number,
): number {
  const offsets = new BigInt64Array([BigInt(fromOffset), BigInt(toOffset)]);
  const at = addressOf(new Uint8Array(offsets.buffer));
  const done = syscall(NR.copy_file_range, from, at, to, at + 8, length);
  if (CANNOT_COPY.has(done)) return -1;
  return checked(done, 'copy_file_range', '');
}

/** EPERM, EXDEV, EINVAL, ENOSYS, EOPNOTSUPP. */
const CANNOT_COPY: ReadonlySet<number> = new Set([-1, -18, -22, -38, -95]);

/**
 * The next run of data at or after `offset`; `undefined` when only a hole is left. A file system
 * without holes has one run.
 */
export function nextData(
  fd: number,
  offset: number,
  size: number,
): { readonly start: number; readonly end: number } | undefined {
  const start = syscall(NR.lseek, fd, offset, SEEK_DATA);
  if (start === -6) return undefined;
  if (start < 0) return offset < size ? { start: offset, end: size } : undefined;
  const end = checked(syscall(NR.lseek, fd, start, SEEK_HOLE), 'lseek', '');
  return { start, end: Math.min(end, size) };
}

/** Writes everything of `fd`'s file system to the disk; it may take seconds, and blocks nobody. */
export async function syncfs(fd: number, subject = ''): Promise<void> {
  checked(await syscallInBackground(NR.syncfs, fd), 'syncfs', subject);
}

/**
 * Gives the calling *thread* its own umask, and sets it to zero. For worker threads only: in the
 * main thread it would part from the threads that run Node's asynchronous file functions.
 */
export function dropUmask(): void {
  const CLONE_FS = 0x200;
  const result = syscall(NR.unshare, CLONE_FS);
  if (result < 0) throw kernelError(-result, 'unshare', '');
  syscall(NR.umask, 0);
}
