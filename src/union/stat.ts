import { MicaError } from '../errors.ts';
import type { Index, Inode } from '../erofs/index-file.ts';
import { isMark } from '../erofs/index-file.ts';
import {
  majorOf,
  minorOf,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../erofs/node.ts';
import { decode } from './byte-string.ts';
import type { FileType, TreeStat } from './tree.ts';

const TYPES: ReadonlyMap<number, FileType> = new Map([
  [S_IFREG, 'file'],
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'char'],
  [S_IFBLK, 'block'],
  [S_IFIFO, 'fifo'],
  [S_IFSOCK, 'socket'],
]);

export function typeOf(mode: number): FileType {
  const type = TYPES.get(mode & S_IFMT);
  if (type) return type;
  throw new MicaError('DATA_LOSS', `layer index: mode 0${mode.toString(8)} is of no file type`);
}

/** The same inode in the same layer is the same file, whatever it is called. */
export const inoOf = (layer: number, nid: number): string => `${layer}:${nid}`;

/** @param merged how many layers' directories merge in it */
export function statOf(index: Index, layer: number, inode: Inode, merged = 1): TreeStat {
  const type = typeOf(inode.mode);
  const link = type === 'symlink' ? index.readlink(inode.nid) : undefined;
  const xattrs = inode.hasXattrs ? index.xattrs(inode.nid) : [];
  return {
    type,
    mode: inode.mode,
    uid: inode.uid,
    gid: inode.gid,
    size: inode.size,
    mtime: inode.mtime,
    mtimeNs: inode.mtimeNs,
    nlink: merged > 1 ? 1 : inode.nlink,
    ino: inoOf(layer, inode.nid),
    major: majorOf(inode.rdev),
    minor: minorOf(inode.rdev),
    target: link === undefined ? undefined : decode(link),
    rawTarget: link === undefined ? undefined : Buffer.from(link, 'latin1'),
    xattrs: xattrs
      .filter(({ name }) => !isMark(name))
      .map(({ name, value }) => ({ name: decode(name), value })),
    layer,
  };
}
