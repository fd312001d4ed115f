import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type Pack, readPack, writePack } from './pack.ts';

/** An empty pack where there is none, or one that another user wrote or could write. */
export function readKept(path: string): Pack {
  try {
    const fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      return isOwn(fd) ? readPack(readFileSync(fd)) : new Map();
    } finally {
      closeSync(fd);
    }
  } catch {
    return new Map();
  }
}

function isOwn(fd: number): boolean {
  const user = process.geteuid?.();
  const { uid, mode } = fstatSync(fd);
  return user === undefined || (uid === user && (mode & 0o022) === 0);
}

/**
 * Puts a pack in its place, whole and on the disk: nothing else tells half a file from a whole one.
 * Where that is not possible there is none, and programs start as they would the first time.
 */
export function keep(path: string, pack: Pack): void {
  const directory = dirname(path);
  try {
    const isNew = mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined;
    replace(path, writePack(pack));
    if (isNew) forgetOthers(directory);
  } catch {
    // It would only have been faster.
  }
}

function replace(path: string, bytes: Buffer): void {
  // Not the process id: two with the same may share a home, in different containers.
  const fresh = `${path}.${Math.random().toString(36).slice(2)}.new`;
  try {
    const fd = openSync(fresh, 'wx', 0o600);
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

/** In milliseconds. */
const MONTH = 30 * 24 * 60 * 60 * 1000;

/** What other versions have kept, and not lately. */
function forgetOthers(own: string): void {
  const home = dirname(own);
  for (const name of readdirSync(home)) {
    const path = join(home, name);
    if (path !== own && Date.now() - statSync(path).mtimeMs > MONTH)
      rmSync(path, { recursive: true, force: true });
  }
}
