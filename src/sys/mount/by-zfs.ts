import { realpathSync, statfsSync } from 'node:fs';
import { MicaError } from '../../errors.ts';
import { holdWhenFree } from '../alive.ts';
import { fromNode } from '../errno.ts';
import type { Mount } from '../mount-data.ts';
import { type MountInfo, readMountinfo } from '../mountinfo.ts';
import { zfs, zfsPatiently } from '../zfs.ts';

/** The type of what zfs-fuse mounts, which only its own command can. */
export const FUSE_ZFS = 'fuse.zfs';

/**
 * Held while the daemon mounts something. A machine has one, whatever the number of its stores, and two
 * mounts at once can leave it with one that it never answers for.
 */
const ONE_AT_A_TIME = '/run/mica-zfs-fuse.lock';

/**
 * Mounts a dataset by `zfs mount`, which puts it where its property `mountpoint` says: that is set when
 * it says something else. Where the dataset is mounted already it is bound from there: the daemon
 * mounts each once.
 * @param bind - makes a bind mount
 */
export async function mountByZfs(
  { source, options }: Mount,
  target: string,
  bind: (mount: Mount, target: string) => void,
): Promise<void> {
  using _ = await holdWhenFree(ONE_AT_A_TIME);
  const [elsewhere] = mountsOf(source);
  if (elsewhere !== undefined)
    return bind({ type: 'bind', source: elsewhere.target, options: ['bind', ...options] }, target);
  const how = options.length > 0 ? ['-o', options.join(',')] : [];
  await mountWhereItSays(source, how);
  if (isMountedOn(source, target)) return answered(target);
  // For the first time, or the store has moved since.
  if (mountsOf(source).length > 0) await zfsPatiently(['unmount', source]);
  await zfs('set', `mountpoint=${target}`, source);
  await mountWhereItSays(source, how);
  if (!isMountedOn(source, target))
    throw new MicaError(
      'FAILED_PRECONDITION',
      `mount ${source} on ${target}: zfs says that it is mounted, and it is not there; zfs-fuse must run in a mount namespace that shares its mounts with this one`,
    );
  answered(target);
}

/** Waits for the first answer of the new file system. */
function answered(target: string): void {
  try {
    statfsSync(target);
  } catch (error) {
    throw fromNode(error);
  }
}

async function mountWhereItSays(source: string, how: readonly string[]): Promise<void> {
  try {
    await zfsPatiently(['mount', ...how, source]);
  } catch (error) {
    // By another process a moment ago, or it says nothing yet.
    if (!(error instanceof MicaError && /already mounted|no mountpoint/.test(error.message)))
      throw error;
  }
}

const mountsOf = (source: string): MountInfo[] =>
  readMountinfo().filter((mount) => mount.source === source && mount.root === '/');

function isMountedOn(source: string, target: string): boolean {
  try {
    const path = realpathSync(target);
    return mountsOf(source).some((mount) => mount.target === path);
  } catch (error) {
    throw fromNode(error);
  }
}
