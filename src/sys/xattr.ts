import { addressOf, cstring, syscall } from './binding.ts';
import { sliceBytes } from './byte-string.ts';
import { checked, errnoOf, kernelError } from './errno.ts';
import { NR } from './syscalls.ts';

/**
 * Extended attributes, names as byte strings. A file is either an open descriptor, or — for links,
 * devices and fifos, which must not be opened — a name in an open directory, never followed.
 */
export type XattrTarget = number | { readonly dirfd: number; readonly name: string };

export interface Xattr {
  readonly name: string;
  readonly value: Uint8Array;
}

const ENODATA = 61;
const ERANGE = 34;
const ENOTSUP = 95;
const ENOSYS = 38;
const EPERM = 1;
const AT_SYMLINK_NOFOLLOW = 0x100;
const MAX_VALUE = 65536;
const NOTHING = new Uint8Array(8);
const buffer = Buffer.alloc(MAX_VALUE);
/** For a list: the kernel takes as much memory first as it is told that there is room. Almost all fit. */
const short = buffer.subarray(0, 1024);

export function setXattr(target: XattrTarget, name: string, value: Uint8Array): void {
  const at = addressOf(value.length > 0 ? value : NOTHING);
  const key = cstring(name, 1);
  if (key === 0) throw kernelError(22, 'setxattr', name);
  const result =
    typeof target === 'number'
      ? syscall(NR.fsetxattr, target, key, at, value.length)
      : syscall(NR.lsetxattr, pathOf(target), key, at, value.length);
  checked(result, 'setxattr', subjectOf(target, name));
}

/** @returns `undefined` when there is no such attribute, or the file system has none */
export function getXattr(target: XattrTarget, name: string): Uint8Array | undefined {
  const key = cstring(name, 1);
  if (key === 0) throw kernelError(22, 'getxattr', name);
  const at = addressOf(buffer);
  const length =
    typeof target === 'number'
      ? syscall(NR.fgetxattr, target, key, at, MAX_VALUE)
      : syscall(NR.lgetxattr, pathOf(target), key, at, MAX_VALUE);
  if (length === -ENODATA || length === -ENOTSUP) return undefined;
  checked(length, 'getxattr', subjectOf(target, name));
  return Uint8Array.prototype.slice.call(buffer, 0, length);
}

/** Names of all attributes that this process may see. */
export function listXattrs(target: XattrTarget): string[] {
  let room = short;
  for (;;) {
    const at = addressOf(room);
    const length =
      typeof target === 'number'
        ? syscall(NR.flistxattr, target, at, room.length)
        : listNamed(target, at, room.length);
    if (length === -ENOTSUP) return [];
    if (length === -ERANGE && room.length < 16 * MAX_VALUE) {
      room = room === short ? buffer : Buffer.alloc(room.length * 4);
      continue;
    }
    checked(length, 'listxattr', subjectOf(target, ''));
    return length === 0 ? [] : sliceBytes(room, 0, length - 1).split('\0');
  }
}

/** Whether the kernel finds names in open directories: since Linux 6.13, unless a filter knows no such call. */
let findsNames = true;

function listNamed(target: Exclude<XattrTarget, number>, at: number, room: number): number {
  const { dirfd, name } = target;
  if (findsNames) {
    const path = cstring(name === '' ? '.' : name);
    const length = syscall(NR.listxattrat, dirfd, path, AT_SYMLINK_NOFOLLOW, at, room);
    if (length !== -ENOSYS && length !== -EPERM) return length;
    findsNames = false;
  }
  return syscall(NR.llistxattr, pathOf(target), at, room);
}

export function removeXattr(target: XattrTarget, name: string): void {
  const key = cstring(name, 1);
  const result =
    typeof target === 'number'
      ? syscall(NR.fremovexattr, target, key)
      : syscall(NR.lremovexattr, pathOf(target), key);
  if (result !== -ENODATA) checked(result, 'removexattr', subjectOf(target, name));
}

/** All attributes with their values, sorted by name; one that vanishes meanwhile is left out. */
export function allXattrs(target: XattrTarget): Xattr[] {
  const names = listXattrs(target);
  if (names.length === 0) return [];
  const found: Xattr[] = [];
  for (const name of names.sort()) {
    const value = getXattr(target, name);
    if (value !== undefined) found.push({ name, value });
  }
  return found;
}

/** Whether an error says that this file system, or this user, cannot have the attribute at all. */
export const isXattrRefusal = (error: unknown): boolean =>
  ['EOPNOTSUPP', 'EPERM'].includes(errnoOf(error) ?? '');

/** There is no `…at` form of these calls before Linux 6.13, so they go through /proc; listing is what is done most. */
const pathOf = ({ dirfd, name }: { readonly dirfd: number; readonly name: string }): number =>
  cstring(`/proc/self/fd/${dirfd}/${name}`);

const subjectOf = (target: XattrTarget, name: string): string =>
  typeof target === 'number' ? name : `${name} ${target.name}`.trim();
