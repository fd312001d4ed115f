import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { mergeIndexes } from '../../../erofs/merge.ts';
import { openIndex } from '../../../erofs/read.ts';
import { writeIndex } from '../../../erofs/write.ts';
import { writeAll } from '../../../io/write-all.ts';
import type { Digest } from '../../../oci/digest.ts';
import { errnoOf, fromNode } from '../../../sys/errno.ts';

/**
 * The index that a stack of layers merges into, as a file in the directory of the nearest layer, so
 * that it goes when that goes: `merged-KEY-SHA256.erofs`. It is a cache: whoever finds that it is
 * missing or not what its name says makes it again, and gets the same bytes.
 */

/**
 * Names a stack of layers by what tells each from all others, nearest first: also from what it was
 * before a repair that gave it another index.
 */
export const mergedKey = (layers: readonly string[]): string =>
  createHash('sha256').update(layers.join('/')).digest('hex').slice(0, 16);

/** Keys of the stacks that have such a file in `directory`. */
export const mergedKeys = (directory: string): Set<string> =>
  new Set(namesIn(directory).flatMap((name) => FILE.exec(name)?.[1] ?? []));

const FILE = /^merged-([0-9a-f]{16})-([0-9a-f]{64})\.erofs$/;

/** Where it is, if it is there; not verified. */
export function findMerged(directory: string, key: string): string | undefined {
  const name = namesIn(directory).find((each) => FILE.exec(each)?.[1] === key);
  return name && join(directory, name);
}

/** Whether the file is what its name says. */
export function isIntact(path: string): boolean {
  const expected = /([0-9a-f]{64})\.erofs$/.exec(path)?.[1];
  const hash = createHash('sha256');
  try {
    const fd = openSync(path, 'r');
    try {
      const buffer = Buffer.allocUnsafe(1 << 18);
      for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer))
        hash.update(buffer.subarray(0, read));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw fromNode(error);
  }
  return hash.digest('hex') === expected;
}

export interface Merging {
  /** Of the layers' indexes, base first. */
  readonly indexes: readonly string[];
  /** What the volume's UUID is derived from: it tells this stack from all others. */
  readonly identity: string;
}

/**
 * Makes the file, whole or not at all. Others that do the same at the same time write the same.
 * @throws FAILED_PRECONDITION or RESOURCE_EXHAUSTED when these layers cannot be one index
 */
export function makeMerged(directory: string, key: string, merging: Merging): string {
  sweep(directory, key);
  const temporary = join(directory, `merged-${key}-${randomBytes(6).toString('hex')}${NEW}`);
  try {
    const digest = writeMerged(temporary, merging);
    const path = join(directory, `merged-${key}-${digest.slice('sha256:'.length)}.erofs`);
    renameSync(temporary, path);
    return path;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw fromNode(error);
  }
}

function writeMerged(path: string, { indexes, identity }: Merging): Digest {
  using opened = new DisposableStack();
  const { root, devices, read } = mergeIndexes(
    indexes.map((index) => opened.use(openIndex(index))),
  );
  const fd = openSync(path, 'wx', 0o600);
  opened.defer(() => closeSync(fd));
  const sink = (chunk: Uint8Array): void => writeAll(fd, chunk, path);
  return writeIndex(root, sink, { devices, read, identity }).digest;
}

const NEW = '.new';
/** In milliseconds. No merge takes as long. */
const ABANDONED = 3_600_000;

/** Takes away what a process that died left half written. */
function sweep(directory: string, key: string): void {
  for (const name of namesIn(directory)) {
    if (!name.startsWith(`merged-${key}-`) || !name.endsWith(NEW)) continue;
    const path = join(directory, name);
    const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
    if (Date.now() - written > ABANDONED) rmSync(path, { force: true });
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fromNode(error);
  }
}
