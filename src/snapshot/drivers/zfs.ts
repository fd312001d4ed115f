import { existsSync } from 'node:fs';
import { MicaError } from '../../errors.ts';
import { features } from '../../sys/features.ts';
import type { Mount, SharedMount } from '../../sys/mount-data.ts';
import { FUSE_ZFS } from '../../sys/mount/by-zfs.ts';
import type { Driver, Snapshot } from '../driver.ts';
import { Directories } from './directories.ts';
import { shownBy, TreeMounts } from './tree-mounts.ts';
import { Datasets, type Way } from './zfs/datasets.ts';
import { homeOf } from './zfs/home.ts';

export interface ZfsOptions {
  /** The dataset below which the store makes its own. Default: the one that it lies on. */
  readonly fsname?: string | undefined;
}

/** Datasets: a layer is a snapshot, what stands on it is a clone, and blocks are shared. */
export function zfs(root: string, { fsname }: ZfsOptions = {}): Driver {
  const dirs = new Directories(root);
  const trees = new TreeMounts(root);
  const way = wayHere();
  const datasets = new Datasets({ home: homeOf(root, fsname), way });

  const tree = async (snapshot: Snapshot, access: 'ro' | 'rw'): Promise<SharedMount> => {
    const id = shownBy(snapshot);
    const type = way === 'legacy' ? 'zfs' : FUSE_ZFS;
    const options = snapshot.kind === 'active' || access === 'rw' ? [] : ['ro'];
    return { type, source: datasets.of(id), options, target: trees.point(id) };
  };

  /** Nobody has it mounted for writing any more when its snapshot is made. */
  async function seal(id: string): Promise<void> {
    await trees.drop(id);
    await datasets.seal(id);
  }

  async function replace(id: string, create: () => Promise<unknown>): Promise<void> {
    if (!(await datasets.destroy(id)))
      throw new MicaError(
        'UNAVAILABLE',
        `dataset ${datasets.of(id)} is left of a layer that was removed, and still in use; try again later`,
      );
    await create();
  }

  return {
    name: 'zfs',
    form: 'direct',

    async create(snapshot, { maxSize } = {}) {
      const { id, parents } = snapshot;
      if (shownBy(snapshot) !== id) return;
      const isNew = !existsSync(dirs.of(id));
      trees.make(id);
      if (await datasets.create(id, parents[0], maxSize)) return;
      // One that could not be destroyed when its directory went is in the way; our own is fine.
      if (isNew) await replace(id, () => datasets.create(id, parents[0], maxSize));
    },

    async seal({ id }) {
      await seal(id);
      return undefined;
    },
    filled: ({ id }) => seal(id),

    async remove({ id }) {
      // A process that was killed may have left a command that mounts it in a moment.
      await datasets.destroy(id, () => trees.drop(id));
      dirs.remove(id);
    },

    async purge(options) {
      const ids = await datasets.list();
      for (const id of ids) if (!existsSync(dirs.of(id))) await datasets.destroy(id);
      if (ids.every((id) => !existsSync(dirs.of(id)))) await datasets.dropHome();
      await dirs.purge(options);
    },

    tree,
    mounts: async (snapshot): Promise<readonly Mount[]> => [
      await tree(snapshot, 'ro'),
      trees.bind(snapshot),
    ],
    release: (mountable) => trees.release(mountable),

    async usage(snapshot, options) {
      const { id } = snapshot;
      const { size, inodes } = await dirs.usage(id, options);
      return { size: size + (shownBy(snapshot) === id ? await datasets.used(id) : 0), inodes };
    },

    inspect: async (snapshot) => ({
      Dataset: datasets.of(shownBy(snapshot)),
      Mountpoint: trees.point(shownBy(snapshot)),
    }),
    status: () => datasets.status(),
    async [Symbol.asyncDispose]() {},
  };
}

/** The kernel's module mounts datasets by mount(2); without it there is only the daemon's command. */
const wayHere = (): Way => (features().fileSystems.has('zfs') ? 'legacy' : 'command');
