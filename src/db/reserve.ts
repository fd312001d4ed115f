import { randomBytes } from 'node:crypto';
import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cutPartials } from './spare.ts';
import { isFull } from './sqlite-error.ts';

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
        if (!isFull(error) || !makesRoom(ways)) throw error;
      }
  }

  /** @returns whether there is more room now */
  #release(): boolean {
    if (this.#size() === 0) return false;
    truncateSync(this.#path, 0);
    return true;
  }

  #size(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }
}

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
