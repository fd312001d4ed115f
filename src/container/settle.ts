import { existsSync, rmSync } from 'node:fs';
import { readState } from '../runtime/state.ts';
import { unmount } from '../sys/mount/unmount.ts';
import { type ContainerDirectory, lockContainer, mountsOf } from './directory.ts';

/** Whether something of the container may still use its tree. */
export async function isBusy({ path }: ContainerDirectory): Promise<boolean> {
  const state = await readState(path);
  if (state.status === 'dead') return state.running !== undefined;
  return state.status === 'running' || state.status === 'paused' || state.status === 'starting';
}

/** Unmounts the tree of a container that has ended. To be called with its lock held, and not while it runs. */
export function unmountTree(directory: ContainerDirectory): void {
  if (!existsSync(directory.unsettled)) return;
  // Twice, if a crash came between mounting and starting, and somebody mounted it again.
  for (let mounts = mountsOf(directory); mounts > 0; mounts--)
    unmount(directory.rootfs, { detach: true });
  rmSync(directory.unsettled, { force: true });
}

/** Does what remains to be done after a container's end, if nobody has yet. */
export async function settle(directory: ContainerDirectory): Promise<void> {
  if (!existsSync(directory.unsettled)) return;
  using _ = await lockContainer(directory);
  if (!(await isBusy(directory))) unmountTree(directory);
}
