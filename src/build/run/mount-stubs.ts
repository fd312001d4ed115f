import { mkdirSync, writeFileSync } from 'node:fs';
import { Root } from '../../fs/root.ts';
import { AT_REMOVEDIR, close, O_DIRECTORY, O_PATH, unlinkat, utimensat } from '../../sys/at.ts';
import { toBytes } from '../../sys/byte-string.ts';
import { type FileStat, findat } from '../../sys/stat.ts';
import { directoryTree } from '../files/directory.ts';
import { resolveIn } from '../files/resolve.ts';
import { baseOf, parentOf, type SourceFile, toByteString } from '../files/source-tree.ts';

/** Where something will be mounted on a tree. */
export interface MountPoint {
  /** From the root of the tree. */
  readonly target: string;
  /** Otherwise a directory. */
  readonly isFile: boolean;
}

/** What was made in a tree to mount on it. */
export interface MountStubs {
  /** Takes away what is still empty, as if it had never been there. Nothing may run in the tree any more. */
  remove(): void;
}

/** Makes what is missing of the mount points, the same whichever runtime there is. */
export function makeMountStubs(rootfs: string, points: readonly MountPoint[]): MountStubs {
  const tree = directoryTree(rootfs, 'the image');
  const placeOf = (path: string): Buffer => Buffer.from(`${toBytes(rootfs)}/${path}`, 'latin1');
  /** Outermost first. */
  const made: string[] = [];
  const parents = new Map<string, SourceFile>();
  const make = (path: string, isFile: boolean): void => {
    if (tree.lstat(path) !== undefined) return;
    const parent = tree.lstat(parentOf(path));
    if (parent !== undefined && !parents.has(parentOf(path))) parents.set(parentOf(path), parent);
    if (isFile) writeFileSync(placeOf(path), '', { mode: 0o644, flag: 'wx' });
    else mkdirSync(placeOf(path), { mode: 0o755 });
    made.push(path);
  };
  for (const { target, isFile } of points) {
    const names = resolveIn(tree, toByteString(target)).split('/');
    for (let depth = 1; depth <= names.length; depth++)
      make(names.slice(0, depth).join('/'), isFile && depth === names.length);
  }
  return {
    remove() {
      using root = new Root(rootfs);
      const removed = new Set<string>();
      for (const path of made.toReversed())
        if (within(root, path, removeEmpty)) removed.add(parentOf(path));
      for (const [path, { mtime, mtimeNs }] of parents)
        if (removed.has(path))
          within(root, path, (parent, name) => {
            if (isDirectory(findat(parent, name))) utimensat(parent, name, mtime, mtimeNs);
          });
    },
  };
}

/**
 * Does something with a name in its directory. A command may have put a link in the place of any directory
 * on the way: none is followed, and nothing is done.
 */
function within<T>(
  root: Root,
  path: string,
  task: (parent: number, name: string) => T,
): T | undefined {
  let parent: number;
  try {
    parent = root.openExact(parentOf(path), O_PATH | O_DIRECTORY);
  } catch {
    return undefined;
  }
  try {
    return task(parent, baseOf(path));
  } finally {
    close(parent);
  }
}

/** @returns whether it is gone */
function removeEmpty(parent: number, name: string): boolean {
  try {
    const stat = findat(parent, name);
    if (isDirectory(stat)) unlinkat(parent, name, AT_REMOVEDIR);
    else if (typeOf(stat) === S_IFREG && stat?.size === 0) unlinkat(parent, name);
    else return false;
    return true;
  } catch {
    // Something was put there: then it stays, and is part of the layer.
    return false;
  }
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;

const typeOf = (stat: FileStat | undefined): number => (stat?.mode ?? 0) & S_IFMT;

const isDirectory = (stat: FileStat | undefined): boolean => typeOf(stat) === S_IFDIR;
