import type { Mount } from '../sys/mount-data.ts';
import { performMounts } from '../sys/mount.ts';

/** Performs `mounts` on `target`, lets `use` look at it, and unmounts whatever happens. */
export async function within(
  mounts: readonly Mount[],
  target: string,
  use: (root: string) => void | Promise<void>,
): Promise<void> {
  await using _ = await performMounts(mounts, target);
  await use(target);
}
