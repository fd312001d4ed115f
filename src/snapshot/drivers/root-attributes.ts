import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openat } from '../../sys/at.ts';
import { toBytes } from '../../sys/byte-string.ts';
import { fchmod, fchown, futimens } from '../../sys/file.ts';
import { statat } from '../../sys/stat.ts';
import { allXattrs, isXattrRefusal, setXattr } from '../../sys/xattr.ts';

/** What overlayfs itself keeps in xattrs is about the one directory that has them. */
const OVERLAY = /^(?:trusted|user)\.overlay\./;

/** Makes directory `to` look as `from` does: owner, mode, xattrs, time. */
export function copyRootAttributes(from: string, to: string): void {
  const source = open(from);
  try {
    const target = open(to);
    try {
      const { uid, gid, mode, mtime, mtimeNs } = statat(source, '');
      fchown(target, uid, gid, toBytes(to));
      fchmod(target, mode & 0o7777, toBytes(to));
      for (const { name, value } of allXattrs(source))
        if (!OVERLAY.test(name)) setIfAllowed(target, name, value);
      futimens(target, mtime, mtimeNs, toBytes(to));
    } finally {
      close(target);
    }
  } finally {
    close(source);
  }
}

const open = (path: string): number => openat(AT_FDCWD, toBytes(path), O_RDONLY | O_DIRECTORY);

function setIfAllowed(fd: number, name: string, value: Uint8Array): void {
  try {
    setXattr(fd, name, value);
  } catch (error) {
    if (!isXattrRefusal(error)) throw error;
  }
}
