import { fchmodSync, fchownSync, futimesSync, lchownSync, lutimesSync } from 'node:fs';
import { AT_FDCWD, utimensat } from '../../sys/at.ts';
import { hasKernel } from '../../sys/binding.ts';
import { isXattrRefusal, setXattr } from '../../sys/xattr.ts';
import type { TreeStat } from '../../union/tree.ts';

/** As in the image: owner, all mode bits, extended attributes and, on Linux, the time to the nanosecond. */
export function archiveAttributes(fd: number, path: Buffer, stat: TreeStat): void {
  // The owner first: changing it takes setuid bits and capabilities away.
  fchownSync(fd, stat.uid, stat.gid);
  fchmodSync(fd, stat.mode & 0o7777);
  if (!hasKernel()) return futimesSync(fd, timeOf(stat), timeOf(stat));
  for (const { name, value } of stat.xattrs) {
    try {
      setXattr(fd, Buffer.from(name).toString('latin1'), value);
    } catch (error) {
      // This file system, or this user, cannot have it.
      if (!isXattrRefusal(error)) throw error;
    }
  }
  utimensat(AT_FDCWD, path.toString('latin1'), stat.mtime, stat.mtimeNs);
}

/** What anybody may set: permissions and time. */
export function ordinaryAttributes(fd: number, stat: TreeStat): void {
  fchmodSync(fd, stat.mode & 0o777);
  futimesSync(fd, timeOf(stat), timeOf(stat));
}

export function linkAttributes(path: Buffer, stat: TreeStat, archive: boolean): void {
  if (archive) lchownSync(path, stat.uid, stat.gid);
  lutimesSync(path, timeOf(stat), timeOf(stat));
}

/** As a Date, since Node takes numbers below zero for "now". */
const timeOf = ({ mtime, mtimeNs }: TreeStat): Date =>
  new Date(Math.max(-8.64e15, Math.min(8.64e15, mtime * 1000 + Math.floor(mtimeNs / 1e6))));
