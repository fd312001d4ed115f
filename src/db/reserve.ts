import { randomBytes } from 'node:crypto';
import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import { errnoOf } from '../sys/errno.ts';
import { cutPartials } from './spare.ts';
import { isFull, isUnopened } from './sqlite-error.ts';

/** What SQLite's own files and the notes of a cleaning up take, in bytes. */
const SIZE = 512 * 1024;

/**
 * Space that is given up when the disk is full. Without it not even a deletion could be written
 * into the database, and a store that has filled its disk could not be opened any more.
 */
export class Reserve {
  readonly #root: string;
  readonly #path: string;

  constructor(root: string) {
    this.#root = root;
    this.#path = join(root, 'reserve');
  }

  /** Takes what is missing, as far as there is room. */
  fill(): void {
    try {
      // Noise, because a file system that compresses would keep back nothing for zeros.
      if (this.#size() < SIZE) writeFileSync(this.#path, randomBytes(SIZE), { mode: 0o600 });
    } catch {
      // The disk is full, or for reading only: nothing can be kept back.
    }
  }

  /**
   * Runs `action`, and again when it found no room, with what is kept back, and at last with what others
   * have downloaded in part. It must have done nothing when it fails.
   */
  lend<T>(action: () => T): T {
    const ways = [() => this.#release(), () => cutPartials(this.#root)];
    for (;;)
      try {
        return action();
      } catch (error) {
        const isWithoutFile = isUnopened(error) && this.#makesNoFile();
        if (!isFull(error) && !isWithoutFile) throw error;
        if (!makesRoom(ways)) throw isWithoutFile ? noFile(this.#root, error) : error;
      }
  }

  /** @returns whether there is more room now */
  #release(): boolean {
    if (this.#size() === 0) return false;
    truncateSync(this.#path, 0);
    return true;
  }

  /** SQLite does not say why it could not make the files beside its own. */
  #makesNoFile(): boolean {
    const path = join(this.#root, `.room-${randomBytes(6).toString('hex')}.new`);
    try {
      writeFileSync(path, '', { mode: 0o600 });
      rmSync(path);
      return false;
    } catch (error) {
      return errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT';
    }
  }

  #size(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }
}

const noFile = (root: string, cause: unknown): MicaError =>
  new MicaError(
    'RESOURCE_EXHAUSTED',
    `${root}: no file can be made (ENOSPC); free some space on the file system. On btrfs that may be room for metadata (\`btrfs filesystem usage\`): remove files, or let \`btrfs balance start -dusage=50\` make some of what is unused room for data`,
    { cause },
  );

/** Goes the first of `ways` that leads anywhere; each is gone once. */
function makesRoom(ways: (() => boolean)[]): boolean {
  for (let way = ways.shift(); way !== undefined; way = ways.shift())
    try {
      if (way()) return true;
    } catch {
      // Nothing there to give, or not ours: what had no room says so itself.
    }
  return false;
}
