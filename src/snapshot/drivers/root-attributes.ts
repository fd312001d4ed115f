import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openat } from '../../sys/at.ts';
import { toBytes } from '../../sys/byte-string.ts';
import { fchmod, fchown, futimens } from '../../sys/file.ts';
import { type FileStat, statat } from '../../sys/stat.ts';
import { allXattrs, isXattrRefusal, setXattr, type Xattr } from '../../sys/xattr.ts';

/** What unions themselves keep in xattrs is about the one directory that has them. */
const OVERLAY = /^(?:(?:trusted|user)\.overlay|user\.fuseoverlayfs)\./;

/** Of a root directory. */
export interface RootAttributes {
  readonly stat: Pick<FileStat, 'mode' | 'uid' | 'gid' | 'mtime' | 'mtimeNs'>;
  readonly xattrs: readonly Xattr[];
}

/**
 * Makes directory `to` the root of a union of `layers`, nearest first: owner, mode, xattrs and time
 * are those of the nearest layer that says anything about its root. A layer whose archive does not
 * mention the root has one of 0755, root, 1970, without xattrs.
 */
export function copyRootAttributes(
  layers: readonly string[],
  to: string,
  read: (layer: string) => RootAttributes = attributesOfDirectory,
): void {
  const target = open(to);
  try {
    let from = read(layers[0]!);
    for (const layer of layers.slice(1)) {
      if (!isUnsaid(from)) break;
      from = read(layer);
    }
    fchown(target, from.stat.uid, from.stat.gid, toBytes(to));
    fchmod(target, from.stat.mode & 0o7777, toBytes(to));
    for (const { name, value } of from.xattrs)
      if (!OVERLAY.test(name)) setIfAllowed(target, name, value);
    futimens(target, from.stat.mtime, from.stat.mtimeNs, toBytes(to));
  } finally {
    close(target);
  }
}

function attributesOfDirectory(directory: string): RootAttributes {
  const fd = open(directory);
  try {
    return { stat: statat(fd, ''), xattrs: allXattrs(fd) };
  } finally {
    close(fd);
  }
}

const isUnsaid = ({ stat, xattrs }: RootAttributes): boolean =>
  (stat.mode & 0o7777) === 0o755 &&
  stat.uid === 0 &&
  stat.gid === 0 &&
  stat.mtime === 0 &&
  stat.mtimeNs === 0 &&
  xattrs.every(({ name }) => OVERLAY.test(name));

const open = (path: string): number => openat(AT_FDCWD, toBytes(path), O_RDONLY | O_DIRECTORY);

function setIfAllowed(fd: number, name: string, value: Uint8Array): void {
  try {
    setXattr(fd, name, value);
  } catch (error) {
    if (!isXattrRefusal(error)) throw error;
  }
}
