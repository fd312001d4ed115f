import { AT_EMPTY_PATH } from './at.ts';
import { addressOf, cstring, syscall } from './binding.ts';
import { checked, kernelError } from './errno.ts';
import { NR } from './syscalls.ts';

/** What the kernel says about a file; times exact to the nanosecond. */
export interface FileStat {
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** In bytes. */
  readonly size: number;
  /** On disk, in blocks of 512 bytes. */
  readonly blocks: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly ctime: number;
  readonly ctimeNs: number;
  /** Device number of a device node, in the kernel's 32-bit encoding. */
  readonly rdev: number;
  /** Identify the inode, together. Decimal: inode numbers may exceed 2⁵³. */
  readonly dev: string;
  readonly ino: string;
  /** Something is mounted here, and this is its root. */
  readonly isMountRoot: boolean;
}

const STATX_BASIC_STATS = 0x7ff;
const STATX_ATTR_MOUNT_ROOT = 0x2000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const ENOENT = 2;

const buffer = Buffer.alloc(256);
const view = new DataView(buffer.buffer, buffer.byteOffset, 256);

/** Of `name` in `dirfd`, a link never followed; `''` is `dirfd` itself. @throws NOT_FOUND */
export function statat(dirfd: number, name: string): FileStat {
  const result = statx(dirfd, name);
  checked(result, 'stat', name);
  return decode();
}

/** Like {@link statat}; `undefined` where there is nothing. */
export function findat(dirfd: number, name: string): FileStat | undefined {
  const result = statx(dirfd, name);
  if (result === -ENOENT) return undefined;
  checked(result, 'stat', name);
  return decode();
}

function statx(dirfd: number, name: string): number {
  const path = cstring(name);
  if (path === 0) throw kernelError(22, 'stat', name);
  const flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
  return syscall(NR.statx, dirfd, path, flags, STATX_BASIC_STATS, addressOf(buffer));
}

const u32 = (offset: number): number => view.getUint32(offset, true);
const u64 = (offset: number): number => u32(offset) + u32(offset + 4) * 2 ** 32;
const i64 = (offset: number): number => u32(offset) + view.getInt32(offset + 4, true) * 2 ** 32;

/** @see struct statx in include/uapi/linux/stat.h */
function decode(): FileStat {
  const ino = u64(0x20);
  return {
    nlink: u32(0x10),
    uid: u32(0x14),
    gid: u32(0x18),
    mode: view.getUint16(0x1c, true),
    ino: Number.isSafeInteger(ino) ? String(ino) : String(view.getBigUint64(0x20, true)),
    size: u64(0x28),
    blocks: u64(0x30),
    ctime: i64(0x60),
    ctimeNs: u32(0x68),
    mtime: i64(0x70),
    mtimeNs: u32(0x78),
    rdev: device(u32(0x80), u32(0x84)),
    dev: nameOfDevice(u32(0x88), u32(0x8c)),
    isMountRoot: (u32(0x08) & STATX_ATTR_MOUNT_ROOT) !== 0,
  };
}

/** The last one: files that are looked at together lie on the same. */
let [lastMajor, lastMinor, lastName] = [0, 0, '0:0'];

function nameOfDevice(major: number, minor: number): string {
  if (major !== lastMajor || minor !== lastMinor)
    [lastMajor, lastMinor, lastName] = [major, minor, `${major}:${minor}`];
  return lastName;
}

const device = (major: number, minor: number): number =>
  ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
