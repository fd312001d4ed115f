import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { hasKernel } from './binding.ts';
import { errnoOf, fromNode } from './errno.ts';
import { flock } from './lock.ts';
import { holdLockByPid, isHeldByPid, tryLockByPid } from './pid-lock.ts';

/**
 * Who only asks whether a lock is held ({@link isHeld}) has it himself, shared with others who ask: for a
 * moment, or until a busy machine gives him another turn. Nobody is taken for its holder by that. In milliseconds.
 */
const LOOK = 1000;
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** A lock file that this process holds: proof, for every process of the machine, that its work is alive. */
export interface HeldLock extends Disposable {
  readonly path: string;
  /** Gives up the lock and removes the file. Harmless when repeated. */
  [Symbol.dispose](): void;
}

/**
 * Creates a lock file and holds it. The file appears under its name already locked, so that nobody
 * ever finds it abandoned while its owner lives.
 */
export function holdLock(path: string): HeldLock {
  if (!hasKernel()) return holdLockByPid(path);
  const temporary = `${path}.${process.pid}-${randomBytes(6).toString('hex')}.new`;
  const fd = open(temporary, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
  try {
    flock(fd, 'exclusive');
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    closeSync(fd);
    throw fromNode(error);
  }
  return held(path, fd);
}

/**
 * Takes the lock file at `path`, creating it when there is none.
 * @returns `undefined` while another process (or another open file of this one) holds it
 */
export function tryLock(path: string): HeldLock | undefined {
  if (!hasKernel()) return tryLockByPid(path);
  for (const until = performance.now() + LOOK; ;) {
    const fd = open(path, constants.O_RDWR | constants.O_CREAT);
    if (!flock(fd, 'exclusive')) {
      const isOnlyLookedAt = flock(fd, 'shared');
      closeSync(fd);
      if (!isOnlyLookedAt || performance.now() > until) return undefined;
      Atomics.wait(NEVER, 0, 0, 1);
      continue;
    }
    if (isStill(path, fd)) return held(path, fd);
    // Its holder removed the file between our open and our lock: that lock excludes nobody.
    closeSync(fd);
  }
}

/** Like {@link tryLock}, waiting for its turn. For short work: who waits asks again every few milliseconds. */
export async function holdWhenFree(path: string, signal?: AbortSignal): Promise<HeldLock> {
  for (let pause = 2; ; pause = Math.min(pause * 2, 100)) {
    signal?.throwIfAborted();
    const lock = tryLock(path);
    if (lock !== undefined) return lock;
    await setTimeout(pause, undefined, { ...(signal && { signal }) }).catch(() => undefined);
  }
}

/** Whether a living process holds the lock file at `path`; no file, no holder. */
export function isHeld(path: string): boolean {
  if (!hasKernel()) return isHeldByPid(path);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw fromNode(error);
  }
  try {
    return !flock(fd, 'shared');
  } finally {
    closeSync(fd);
  }
}

function held(path: string, fd: number): HeldLock {
  let holding = true;
  return {
    path,
    [Symbol.dispose]() {
      if (!holding) return;
      holding = false;
      if (isStill(path, fd)) rmSync(path, { force: true });
      closeSync(fd);
    },
  };
}

function open(path: string, flags: number): number {
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    throw fromNode(error);
  }
}

/** Whether `path` still names the file behind `fd`. */
function isStill(path: string, fd: number): boolean {
  const [mine, there] = [
    fstatSync(fd, { bigint: true }),
    statSync(path, { bigint: true, throwIfNoEntry: false }),
  ];
  return there !== undefined && mine.ino === there.ino && mine.dev === there.dev;
}
