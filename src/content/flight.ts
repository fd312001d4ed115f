import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isCode } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts';
import { type HeldLock, tryLock } from '../sys/alive.ts';
import { fromNode } from '../sys/errno.ts';

/**
 * The right to write one blob, held by one operation of one process at a time: the lock file in
 * the blob's ingest directory. Beside it lies `data`, which outlives every holder.
 */
export class Flight implements Disposable {
  readonly directory: string;
  readonly #lock: HeldLock;

  private constructor(directory: string, lock: HeldLock) {
    this.directory = directory;
    this.#lock = lock;
  }

  /** `undefined`: somebody else has it. */
  static tryTake(directory: string): Flight | undefined {
    for (;;) {
      try {
        mkdirSync(directory, { recursive: true });
        const lock = tryLock(join(directory, 'lock'));
        return lock && new Flight(directory, lock);
      } catch (error) {
        const translated = fromNode(error);
        // The last holder removed the directory between our two steps.
        if (!isCode(translated, 'NOT_FOUND')) throw translated;
      }
    }
  }

  get data(): string {
    return join(this.directory, 'data');
  }

  removeData(): void {
    rmSync(this.data, { force: true });
  }

  /** The directory goes too, unless a partial download is left in it. */
  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
    try {
      rmdirSync(this.directory);
    } catch {
      // Not empty: a partial download, or the next holder.
    }
  }
}

export const ingestDirectory = (content: string, digest: Digest): string =>
  join(content, 'ingest', `${algorithmOf(digest)}-${hexOf(digest)}`);

/**
 * Asks `attempt` again and again until it has an answer, without blocking anybody else.
 * @param attempt - resolves to `undefined` to be asked again
 */
export async function poll<T>(
  attempt: () => T | undefined,
  { signal }: Abortable,
  onWait?: () => void,
): Promise<T> {
  for (let pause = 5; ; pause = Math.min(pause * 2, 200)) {
    signal?.throwIfAborted();
    const answer = attempt();
    if (answer !== undefined) return answer;
    onWait?.();
    await setTimeout(pause, undefined, { ...(signal && { signal }) }).catch(() => undefined);
  }
}
