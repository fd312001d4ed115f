import { lstatSync, mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { AT_FDCWD, utimensat } from '../../sys/at.ts';
import { toBytes } from '../../sys/byte-string.ts';
import { directoryTree } from '../files/directory.ts';
import { resolveIn } from '../files/resolve.ts';
import { parentOf, type SourceFile, toByteString } from '../files/source-tree.ts';

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
      const removed = new Set<string>();
      for (const path of made.toReversed())
        if (removeEmpty(placeOf(path))) removed.add(parentOf(path));
      for (const [path, { mtime, mtimeNs }] of parents)
        if (removed.has(path) && tree.lstat(path)?.type === 'directory')
          utimensat(AT_FDCWD, placeOf(path).toString('latin1'), mtime, mtimeNs);
    },
  };
}

/** @returns whether it is gone */
function removeEmpty(path: Buffer): boolean {
  try {
    const stat = lstatSync(path);
    if (stat.isDirectory()) rmdirSync(path);
    else if (stat.isFile() && stat.size === 0) rmSync(path);
    else return false;
    return true;
  } catch {
    // Something was put there: then it stays, and is part of the layer.
    return false;
  }
}
