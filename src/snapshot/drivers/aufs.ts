import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fromNode } from '../../sys/errno.ts';
import type { Mount } from '../../sys/mount-data.ts';
import { AUFS } from '../../sys/mount/aufs.ts';
import type { Driver } from '../driver.ts';
import { hideBelow } from './aufs/hide.ts';
import type { OwnDirectories } from './overlay.ts';
import { unionDriver } from './union.ts';

/** CONFIG_AUFS_BRANCH_MAX of nearly every kernel that has AUFS. */
const MAX_BRANCHES = 127;

/**
 * Union of directories by AUFS, which kernels have by a patch only. Deletions are spelled in its
 * branches as they are in the archives of layers, which is where OCI has them from.
 */
export const aufs = (root: string): Driver =>
  unionDriver(root, {
    name: 'aufs',
    form: 'aufs',
    whiteouts: 'aufs',
    scratch: false,
    stacking: { by: 'AUFS', most: MAX_BRANCHES - 1, advice: 'use storage driver overlay2' },
    mount: branchesOf,
    furnish,
  });

/**
 * Branches, topmost first: `ro+wh` are those of which whiteouts count, although nobody writes to them.
 *
 *  - `dio`, `xino`, `dirperm1` as Docker had them: O_DIRECT works; inode numbers are kept outside of
 *    branches, whose file systems may not do for that; the topmost directory's permissions alone count
 *  - `noplink`: files with several names become several files when one is written to, as on overlay.
 *    Otherwise the names would agree only until the mount ends, unless auplink(8) runs before.
 */
function branchesOf({ kind, fs, work }: OwnDirectories, lowers: readonly string[]): Mount {
  const isWritable = kind === 'active';
  const own = `br=${fs}=${isWritable ? 'rw' : 'ro+wh'}`;
  const below = lowers.flatMap((path) => [path, hiddenBelow(work, path)].filter(existsSync));
  const how = ['dio', ...inodeNumbers(), 'dirperm1', 'noplink'];
  const access = isWritable ? [] : ['ro'];
  const branches = [own, ...below.map((path) => `br=${path}=ro+wh`)];
  return { type: AUFS, source: fs, options: [...branches, ...how, ...access] };
}

/** The branch of whiteouts that a snapshot has below a layer, if it has one. */
const hiddenBelow = (work: string, layer: string): string => join(work, basename(dirname(layer)));

const MEMORY = '/dev/shm';

/** In memory, in a file that the kernel makes and unlinks at once: two mounts at a time need two names. */
const inodeNumbers = (): string[] =>
  existsSync(MEMORY) ? [`xino=${MEMORY}/aufs-${randomBytes(6).toString('hex')}.xino`] : [];

/**
 * Makes branches of whiteouts where AUFS would show too much; and what it keeps in a writable branch,
 * so that it need not: that would give the root another time of change at every mount.
 */
function furnish({ kind, fs, work }: OwnDirectories, lowers: readonly string[]): void {
  try {
    const once = [...new Set(lowers)];
    hideBelow(once, (layer) => hiddenBelow(work, once[layer]!));
    if (kind !== 'active') return;
    mkdirSync(join(fs, '.wh..wh.orph'), { recursive: true, mode: 0o700 });
    closeSync(openSync(join(fs, '.wh..wh.aufs'), 'a', 0o444));
  } catch (error) {
    throw fromNode(error);
  }
}
