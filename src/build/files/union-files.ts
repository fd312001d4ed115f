import { isCode } from '../../errors.ts';
import type { TreeStat, UnionTree } from '../../union/tree.ts';
import type { SourceFile, SourceTree } from './source-tree.ts';

/** The files of an image, with all that its layers say about them. */
export function unionFiles(tree: UnionTree, name: string): SourceTree {
  const bytes = (path: string): Buffer => Buffer.from(path, 'latin1');
  return {
    name,
    lstat(path) {
      try {
        return sourceFile(tree.lstat(bytes(path)));
      } catch (error) {
        if (isCode(error, 'NOT_FOUND') || isCode(error, 'FAILED_PRECONDITION')) return undefined;
        throw error;
      }
    },
    names: (path) =>
      tree.readdir(bytes(path)).map(({ raw }) => Buffer.from(raw).toString('latin1')),
    read: (path, options) => tree.createReadStream(bytes(path), options),
  };
}

function sourceFile(stat: TreeStat): SourceFile | undefined {
  const { type, mode, uid, gid, size, mtime, mtimeNs, rawTarget, major, minor, xattrs } = stat;
  if (type === 'socket') return undefined;
  return {
    type,
    mode: mode & 0o7777,
    uid,
    gid,
    size: type === 'file' ? size : 0,
    mtime,
    mtimeNs,
    target: rawTarget === undefined ? '' : Buffer.from(rawTarget).toString('latin1'),
    major,
    minor,
    xattrs,
    identity: type === 'file' && stat.nlink > 1 ? stat.ino : undefined,
  };
}
