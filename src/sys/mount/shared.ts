import {
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { MicaError } from '../../errors.ts';
import { holdWhenFree } from '../alive.ts';
import { AT_FDCWD } from '../at.ts';
import { toBytes } from '../byte-string.ts';
import { errnoOf, fromNode } from '../errno.ts';
import { isLoopOf } from '../loop.ts';
import type { Mount, SharedMount } from '../mount-data.ts';
import { type MountInfo, readMountinfo } from '../mountinfo.ts';
import { statat } from '../stat.ts';
import { fileSystemUuid } from './uuid.ts';
import { unmount } from './unmount.ts';

/**
 * Mounts that many stacks use and nobody counts: whoever needs one makes sure that it is there, and
 * whoever finds out that nobody needs it any more takes it away. One lock, beside the directory of
 * the mount points, keeps the two apart.
 *
 * The mount points stay as long as what is mounted on them exists: removing one would end the mount
 * in the mount namespaces that have a copy of it.
 */

export const isShared = (mount: Mount): mount is SharedMount => mount.target !== undefined;

/** Keeps what is mounted on the mount points of `mounts` there until it is disposed of. */
export async function lockShared(mounts: readonly SharedMount[]): Promise<DisposableStack> {
  using locks = new DisposableStack();
  const directories = new Set(mounts.map(({ target }) => dirname(target)));
  for (const directory of [...directories].sort()) locks.use(await lock(directory));
  return locks.move();
}

/** Under the lock. @param perform - makes the mount where there is none, or a stale one */
export async function ensureShared(
  mount: SharedMount,
  perform: (mount: Mount, target: string) => void | Promise<void>,
): Promise<void> {
  const { target } = mount;
  try {
    if (mountAt(target) === undefined) mkdirSync(target, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fromNode(error);
  }
  for (let there = mountAt(target); there !== undefined; there = mountAt(target)) {
    if (there === 'alive') {
      if (isExpected(mount)) return;
      refuseForeign(mount);
    }
    unmount(target, { detach: true });
  }
  await perform(mount, target);
}

/** Whether a shared mount is there already, and is what it should be. */
export function isSharedMounted(mount: SharedMount): boolean {
  return mountAt(mount.target) === 'alive' && isExpected(mount);
}

/**
 * Unmounts what is mounted on mount points in `directory`, except those `needed` by name: asked
 * under the lock. What a process uses directly stays.
 */
export async function releaseShared(
  directory: string,
  needed: () => ReadonlySet<string>,
): Promise<void> {
  // Without the lock first: mostly there is nothing to do.
  const idle = (): string[] => {
    const keep = needed();
    return mountPoints(directory).filter((name) => !keep.has(name));
  };
  if (idle().length === 0) return;
  using _ = await lock(directory);
  for (const name of idle())
    try {
      end(join(directory, name));
    } catch (error) {
      if (errnoOf(error) !== 'EBUSY') throw error;
    }
}

/** Ends the mount for everybody in this mount namespace, and removes its mount point. */
export async function dropShared(target: string): Promise<void> {
  if (!isMountPoint(target) && !existsSync(target)) return;
  using _ = await lock(dirname(target));
  while (isMountPoint(target)) end(target, { detach: true });
  try {
    rmdirSync(target);
  } catch (error) {
    // What somebody put below the mount harms nobody.
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTEMPTY') throw fromNode(error);
  }
}

async function lock(directory: string): Promise<Disposable> {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fromNode(error);
  }
  return holdWhenFree(`${directory}.lock`);
}

function mountPoints(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => isMountPoint(join(directory, name)));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fromNode(error);
  }
}

const isMountPoint = (path: string): boolean => mountAt(path) !== undefined;

/** @returns `dead` for what a daemon served that has ended: nobody can use it any more */
function mountAt(path: string): 'alive' | 'dead' | undefined {
  try {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there === undefined || there.dev === statSync(dirname(path)).dev) return undefined;
    return 'alive';
  } catch (error) {
    if (errnoOf(error) === 'ENOTCONN') return 'dead';
    throw fromNode(error);
  }
}

/** By its UUID or source: the mount point of a store that was deleted may still show that store's layer. */
function isExpected({ target, uuid, source }: SharedMount): boolean {
  if (uuid === undefined) return topmost(target)?.source === source;
  const there = fileSystemUuid(target);
  return there === undefined
    ? isLoopOf(statat(AT_FDCWD, toBytes(target)).dev, source)
    : there === uuid;
}

/** What is not even such a file system was put there by somebody who may want to keep it. */
function refuseForeign({ type, target }: SharedMount): void {
  const top = topmost(target);
  if (top === undefined || top.type === type) return;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `mount ${target}: a file system ${top.type} (${top.source}) is mounted there already; unmount that`,
  );
}

function topmost(target: string): MountInfo | undefined {
  const path = realpathSync(target);
  return readMountinfo().findLast((mount) => mount.target === path);
}

/**
 * Unmounts. What is on its way to a daemon is lost when its mount ends, and zfs-fuse waits for ever for
 * a file to be closed that was: once it answers this it has read all that came before.
 */
function end(target: string, options?: Parameters<typeof unmount>[1]): void {
  try {
    statfsSync(target);
  } catch (error) {
    // Its daemon is dead, or the device is gone; it can be unmounted all the same.
    if (errnoOf(error) === undefined) throw error;
  }
  unmount(target, options);
}
