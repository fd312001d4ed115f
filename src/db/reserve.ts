import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isFull } from './sqlite-error.ts';

/** What SQLite's own files and the notes of a cleaning up take, in bytes. */
const SIZE = 512 * 1024;

/**
 * Space that is given up when the disk is full. Without it not even a deletion could be written
 * into the database, and a store that has filled its disk could not be opened any more.
 */
export class Reserve {
  readonly #path: string;

  constructor(root: string) {
    this.#path = join(root, 'reserve');
  }

  /** Takes what is missing, as far as there is room. */
  fill(): void {
    try {
      if (this.#size() < SIZE) writeFileSync(this.#path, Buffer.alloc(SIZE), { mode: 0o600 });
    } catch {
      // The disk is full, or for reading only: nothing can be kept back.
    }
  }

  /** Runs `action`, and a second time when the first found no room. It must have done nothing then. */
  lend<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (!isFull(error) || !this.#release()) throw error;
      return action();
    }
  }

  /** @returns whether there is more room now */
  #release(): boolean {
    try {
      if (this.#size() === 0) return false;
      truncateSync(this.#path, 0);
      return true;
    } catch {
      return false;
    }
  }

  #size(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }
}
