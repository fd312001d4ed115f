import { randomBytes } from 'node:crypto';
import { chmodSync, type Dirent, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { removeTree } from '../../fs/remove.ts';
import { treeUsage } from '../../fs/usage.ts';
import type { Abortable } from '../../io/bytes.ts';
import { each } from '../../io/each.ts';
import { hasKernel } from '../../sys/binding.ts';
import { errnoOf, fromNode } from '../../sys/errno.ts';
import type { Usage } from '../driver.ts';

/** One directory for each physical id: what drivers without a volume manager have in common. */
export class Directories {
  readonly #root: string;
  readonly #trash: string;

  /** @param root - the store's `layers` directory */
  constructor(root: string) {
    this.#root = root;
    this.#trash = join(root, '.trash');
  }

  of(id: string): string {
    return join(this.#root, id);
  }

  fs(id: string): string {
    return join(this.#root, id, 'fs');
  }

  work(id: string): string {
    return join(this.#root, id, 'work');
  }

  /** Those that are there already stay as they are. New ones are open to all, whatever the umask: they are roots of trees. */
  make(...paths: readonly string[]): void {
    try {
      for (const path of paths)
        if (mkdirSync(path, { recursive: true }) !== undefined) chmodSync(path, 0o755);
    } catch (error) {
      throw fromNode(error);
    }
  }

  /**
   * Renames, and leaves the unlinking for later: a file system that has just lost many inodes
   * creates new ones many times slower (ext4), and nobody wants to wait.
   */
  remove(id: string): void {
    this.discard(id);
  }

  /** The same with a part of what an id has. */
  discard(id: string, part = ''): void {
    try {
      const name = `${id}-${randomBytes(4).toString('hex')}`;
      renameSync(join(this.of(id), part), join(this.#trash, name));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw fromNode(error);
      // Nothing to remove, or the first removal of this store.
      if (!this.#makeTrash()) return;
      this.discard(id, part);
    }
  }

  /** Nothing where there is no directory: a view may do without. */
  async usage(id: string, options: Abortable = {}): Promise<Usage> {
    if (!existsSync(this.of(id))) return { size: 0, inodes: 0 };
    return treeUsage(this.of(id), options);
  }

  async purge(options: Abortable = {}): Promise<void> {
    const gone = entriesOf(this.#trash).map(({ name }) => join(this.#trash, name));
    // What lies right below an id is a tar: unlinking it is freeing its page cache, which would
    // hold up this thread for 0.1 s a gigabyte.
    await each(gone.flatMap(filesIn), 4, unlink, options.signal);
    for (const path of gone) await removeInPieces(path, PIECES, options);
  }

  /** @returns whether it was missing */
  #makeTrash(): boolean {
    try {
      return mkdirSync(this.#trash, { recursive: true, mode: 0o700 }) !== undefined;
    } catch (error) {
      throw fromNode(error);
    }
  }
}

/** So many levels down, directories are removed one by one, and others get their turn in between. */
const PIECES = 6;

async function removeInPieces(path: string, depth: number, options: Abortable): Promise<void> {
  options.signal?.throwIfAborted();
  if (depth > 0)
    for (const entry of entriesOf(path))
      if (entry.isDirectory()) await removeInPieces(join(path, entry.name), depth - 1, options);
  if (hasKernel()) removeTree(path);
  else await rm(path, { recursive: true, force: true });
  await setImmediate();
}

const filesIn = (directory: string): string[] =>
  entriesOf(directory)
    .filter((entry) => entry.isFile())
    .map(({ name }) => join(directory, name));

async function unlink(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw fromNode(error);
  }
}

/** None where there is no directory (any more). */
function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw fromNode(error);
  }
}
