import {
  chmodSync,
  closeSync,
  constants,
  statSync,
  mkdirSync,
  openSync,
  readdirSync,
} from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { MicaError } from '../errors.ts';
import { hasKernel } from '../sys/binding.ts';
import { fromNode } from '../sys/errno.ts';
import { flock } from '../sys/lock.ts';

/**
 * Creates the store's directory if there is none (or takes an empty one of ours), and refuses one
 * that others can look into: old layers hold setuid programs with known holes, and nobody else may
 * mount or run them.
 */
export function makeRoot(root: string): void {
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const { mode, uid } = statSync(root);
    if (uid === process.geteuid?.() && (mode & 0o077) !== 0 && readdirSync(root).length === 0)
      chmodSync(root, 0o700);
  } catch (error) {
    throw fromNode(error);
  }
  checkRoot(root);
}

/** @returns whether there is such a directory @throws PERMISSION_DENIED, FAILED_PRECONDITION */
export function checkRoot(root: string): boolean {
  let stats;
  try {
    stats = statSync(root, { throwIfNoEntry: false });
  } catch (error) {
    throw fromNode(error);
  }
  if (stats === undefined) return false;
  if (!stats.isDirectory())
    throw new MicaError('FAILED_PRECONDITION', `the store ${root} is not a directory`);
  const uid = process.geteuid?.();
  if (uid === undefined) return true;
  if (stats.uid !== uid)
    throw new MicaError(
      'PERMISSION_DENIED',
      `the store ${root} belongs to user ${stats.uid}, this process is user ${uid}; choose another with --root`,
    );
  if ((stats.mode & 0o077) !== 0)
    throw new MicaError(
      'PERMISSION_DENIED',
      `others can look into the store ${root} (mode ${(stats.mode & 0o7777).toString(8)}), where setuid programs of old layers lie; run chmod 700 ${root}`,
    );
  return true;
}

/** The store's lock: shared by everybody who may write, exclusive while the format is made or changed. */
export class RootLock implements Disposable {
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    } catch (error) {
      throw fromNode(error);
    }
  }

  /** Waits a moment for its turn. @throws UNAVAILABLE when it does not come */
  async take(kind: 'shared' | 'exclusive'): Promise<void> {
    if (!hasKernel()) return;
    for (let waited = 0; !flock(this.#fd, kind); waited += PAUSE) {
      if (waited >= PATIENCE)
        throw new MicaError(
          'UNAVAILABLE',
          `${this.#path} is held by a process that ${kind === 'shared' ? 'changes the format of the store' : 'uses the store'}; try again when it has ended`,
        );
      await setTimeout(PAUSE);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** In milliseconds. */
const PAUSE = 10;
const PATIENCE = 30_000;
