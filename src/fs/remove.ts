import { AT_FDCWD, AT_REMOVEDIR, close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../sys/at.ts';
import { openat, RENAME_NOREPLACE, renameat, unlinkat } from '../sys/at.ts';
import { unlockSubvolume } from '../sys/btrfs/subvolume.ts';
import { toBytes } from '../sys/byte-string.ts';
import { readNames } from '../sys/dirents.ts';
import { errnoOf } from '../sys/errno.ts';

/** Directories open at once, and levels of recursion; what lies deeper is moved up first. */
const MAX_DEPTH = 64;

/**
 * Removes what is at `path`, with everything below; links are removed, never followed. Nothing there
 * is fine, nor does it matter if others remove the same meanwhile.
 */
export function removeTree(path: string): void {
  const bytes = toBytes(path).replace(/\/+$/, '');
  const slash = bytes.lastIndexOf('/') + 1;
  const parent = orNothing(() => openat(AT_FDCWD, bytes.slice(0, slash) || '.', O_DIRECTORY));
  if (parent === undefined) return;
  try {
    removeTreeAt(parent, bytes.slice(slash));
  } finally {
    close(parent);
  }
}

/** Removes `name` in the open directory `dirfd`, with everything below. Nothing there is fine. */
export function removeTreeAt(dirfd: number, name: string): void {
  let moved = 0;
  // Again until it is empty: what was too deep has come to lie on its first level.
  while (
    !unlinked(dirfd, name) &&
    inside(dirfd, name, (fd, names) => {
      const raise = (from: number, deep: string): void => {
        while (!renamed(from, deep, fd, `.deep-${moved}`)) moved++;
      };
      for (const each of names) empty(fd, each, 1, raise);
      return names.length > 0;
    })
  );
  orNothing(() => unlinkat(dirfd, name, AT_REMOVEDIR));
}

type Raise = (dirfd: number, name: string) => void;

function empty(dirfd: number, name: string, depth: number, raise: Raise): void {
  if (unlinked(dirfd, name)) return;
  if (depth >= MAX_DEPTH) return raise(dirfd, name);
  inside(dirfd, name, (fd, names) => {
    for (const each of names) empty(fd, each, depth + 1, raise);
    return false;
  });
  orNothing(() => unlinkat(dirfd, name, AT_REMOVEDIR));
}

/** Calls `visit` with the directory and what is in it; `false` when it is gone. */
function inside(
  dirfd: number,
  name: string,
  visit: (fd: number, names: string[]) => boolean,
): boolean {
  const fd = orNothing(() => openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (fd === undefined) return false;
  try {
    // Whoever may make subvolumes in a tree may also make them read-only.
    unlockSubvolume(fd);
    // Somebody else may be removing the same.
    const names = orNothing(() => readNames(fd));
    return names !== undefined && visit(fd, names);
  } finally {
    close(fd);
  }
}

/** Whether `name` is gone now; what is not is a directory. */
function unlinked(dirfd: number, name: string): boolean {
  try {
    unlinkat(dirfd, name);
    return true;
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT') return true;
    if (code === 'EISDIR') return false;
    throw error;
  }
}

function renamed(fromDir: number, from: string, toDir: number, to: string): boolean {
  try {
    renameat(fromDir, from, toDir, to, RENAME_NOREPLACE);
    return true;
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST') return false;
    if (code === 'ENOENT') return true;
    throw error;
  }
}

function orNothing<T>(attempt: () => T): T | undefined {
  try {
    return attempt();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
