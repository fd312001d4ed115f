import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { isCode } from '../../errors.ts';
import { removeTree } from '../../fs/remove.ts';
import { type HeldLock, tryLock } from '../../sys/alive.ts';
import { errnoOf, fromNode } from '../../sys/errno.ts';
import { readMountinfo } from '../../sys/mountinfo.ts';
import { unmount } from '../../sys/mount/unmount.ts';

/** Below a store's layers, and only while something is tried: a directory for each trial, with its `lock`. */
const TRIALS = '.trials';

/**
 * Runs `trial` on an empty directory of its own, on the file system of `layers`. Nothing is left of it;
 * what the trial of a killed process has left goes with {@link sweepTrials}.
 */
export async function onTrial<T>(
  layers: string,
  trial: (scratch: string) => T | Promise<T>,
): Promise<T> {
  const { directory, lock } = begin(join(layers, TRIALS));
  try {
    const scratch = join(directory, 'scratch');
    make(scratch);
    return await trial(scratch);
  } finally {
    clear(directory, lock);
  }
}

/** Removes, with its mounts, what is left of trials whose process has died. Others are not touched. */
export function sweepTrials(layers: string): void {
  // As the kernel names what is mounted in there.
  const trials = orNothing(() => realpathSync(join(layers, TRIALS)));
  if (trials === undefined) return;
  for (const name of orNothing(() => readdirSync(trials)) ?? []) {
    const directory = join(trials, name);
    const lock = lockIn(directory);
    if (lock === undefined) continue;
    try {
      for (const { target } of readMountinfo().reverse())
        if (target.startsWith(`${directory}/`)) unmount(target, { detach: true });
    } finally {
      clear(directory, lock);
    }
  }
  removeEmpty(trials);
}

/** Who sweeps may come between our two steps, and takes what nobody has locked yet: then there is another. */
function begin(trials: string): { directory: string; lock: HeldLock } {
  for (;;) {
    make(trials);
    const directory = orNothing(() => mkdtempSync(join(trials, 'trial-')));
    const lock = directory === undefined ? undefined : lockIn(directory);
    if (directory !== undefined && lock !== undefined) return { directory, lock };
  }
}

/** `undefined`: somebody holds it, or the directory is gone. */
function lockIn(directory: string): HeldLock | undefined {
  try {
    return tryLock(join(directory, 'lock'));
  } catch (error) {
    if (isCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** The lock goes last: nobody may think that nothing is here while there is. */
function clear(directory: string, lock: HeldLock): void {
  try {
    removeTree(join(directory, 'scratch'));
  } finally {
    lock[Symbol.dispose]();
  }
  removeEmpty(directory);
  removeEmpty(join(directory, '..'));
}

/** Somebody else may have begun in there, or removed it. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    const code = errnoOf(error);
    if (code !== 'ENOTEMPTY' && code !== 'ENOENT') throw fromNode(error);
  }
}

function make(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fromNode(error);
  }
}

function orNothing<T>(attempt: () => T): T | undefined {
  try {
    return attempt();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromNode(error);
  }
}
