import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Abortable } from '../../../io/bytes.ts';
import { syncAndClean } from '../../../sys/btrfs/ioctl.ts';
import { forgetQuota } from '../../../sys/btrfs/quota.ts';
import {
  destroySubvolume,
  isSubvolume,
  subvolumeOf,
  takesSpace,
  unlockSubvolume,
  withNested,
} from '../../../sys/btrfs/subvolume.ts';
import { findDirectory, openDirectory, openRoot } from './open-directory.ts';

/**
 * Deletes the subvolume at `path` with those that programs have made in it. They are found and opened
 * by their numbers: no name that is in there is looked at. Where there is no subvolume nothing happens.
 * @returns the numbers of what was deleted; the file system clears it away in the background
 */
export function destroyTree(path: string): number[] {
  using root = findDirectory(path);
  if (root === undefined || !isSubvolume(root.fd)) return [];
  // Not through the subvolume itself, whose quota may be used up.
  using outside = openDirectory(dirname(path));
  return destroyWithNested(outside.fd, subvolumeOf(root.fd).id);
}

/** The same by the number of the subvolume. @param fd - of something outside of it on the file system */
export function destroyWithNested(fd: number, subvolume: number): number[] {
  const all = withNested(fd, subvolume);
  // From one that is read-only nothing can be taken away.
  if (all.length > 1) for (const id of all) unlock(fd, id);
  for (const id of all) {
    destroySubvolume(fd, id);
    forgetQuota(fd, id);
  }
  return all;
}

function unlock(fd: number, id: number): void {
  using root = openRoot(fd, id);
  unlockSubvolume(root.fd);
}

/** How long somebody waits for the space of what was deleted, in milliseconds; the file system goes on by itself. */
const PATIENCE = 5000;

/** Waits until these subvolumes, which were deleted, take no space any more. @param path - of anything on the file system */
export async function cleared(
  path: string,
  ids: readonly number[],
  { signal }: Abortable = {},
): Promise<void> {
  using directory = openDirectory(path);
  await syncAndClean(directory.fd);
  const until = performance.now() + PATIENCE;
  for (const id of ids)
    for (let pause = 1; takesSpace(directory.fd, id); pause = Math.min(pause * 2, 100)) {
      signal?.throwIfAborted();
      if (performance.now() > until) return;
      await setTimeout(pause);
    }
}
