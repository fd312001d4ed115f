import { writeFileSync } from 'node:fs';
import { MicaError } from '../errors.ts';
import { fromNode } from '../sys/errno.ts';
import { performMounts } from '../sys/mount.ts';
import { type ContainerStore, snapshotKeyOf } from './container.ts';
import { type ContainerDirectory, directoryOf, isMounted, lockContainer } from './directory.ts';
import { isBusy, unmountTree } from './settle.ts';

/**
 * Mounts a container's writable tree on its `rootfs`. With its lock held. Setuid files work: it is a
 * container's, in a store that nobody else may look into.
 */
export async function mountTree(
  { snapshots }: ContainerStore,
  id: string,
  directory: ContainerDirectory,
): Promise<void> {
  try {
    writeFileSync(directory.unsettled, '');
  } catch (error) {
    throw fromNode(error);
  }
  await performMounts(await snapshots.mounts(snapshotKeyOf(id)), directory.rootfs);
}

/**
 * Lets `task` see a container's tree, whether it runs or not. While it does not, nobody can start it
 * meanwhile.
 */
export async function withTree<T>(
  store: ContainerStore,
  id: string,
  task: (root: string) => Promise<T>,
): Promise<T> {
  const directory = directoryOf(store.db.root, id);
  {
    using _ = await lockContainer(directory);
    if (!(await isBusy(directory))) {
      unmountTree(directory);
      await mountTree(store, id, directory);
      try {
        return await task(directory.rootfs);
      } finally {
        unmountTree(directory);
      }
    }
    if (!isMounted(directory))
      throw new MicaError(
        'FAILED_PRECONDITION',
        `the tree of container ${id.slice(0, 12)}, which runs, is mounted in another mount namespace; go there`,
      );
  }
  return await task(directory.rootfs);
}
