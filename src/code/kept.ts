import {
  closeSync,
  fdatasyncSync,
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

export function readKept(path: string): Pack {
  try {
    return readPack(readFileSync(path));
  } catch {
    return new Map();
  }
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
  const fresh = `${path}.${process.pid}.new`;
  try {
    const fd = openSync(fresh, 'w', 0o600);
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
