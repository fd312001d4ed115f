import { setImmediate } from 'node:timers/promises';
import { AT_FDCWD, close, O_DIRECTORY, openat } from '../sys/at.ts';
import { toBytes } from '../sys/byte-string.ts';
import { walk } from './walk.ts';

/** What a tree takes on its disk; what is mounted in it lies elsewhere. */
export interface TreeUsage {
  /** In bytes, as the disk counts them: whole blocks, no holes, hard links once. */
  readonly size: number;
  readonly inodes: number;
}

/** Files looked at before others get their turn. */
const SLICE = 512;

export async function treeUsage(
  path: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<TreeUsage> {
  const { signal } = options;
  signal?.throwIfAborted();
  const dirfd = openat(AT_FDCWD, toBytes(path), O_DIRECTORY);
  const linked = new Set<string>();
  let [size, inodes, looked] = [0, 0, 0];
  try {
    for (const { stat, phase } of walk(dirfd, { skipMounts: true, isInUse: true })) {
      if (phase === 'after') continue;
      if (++looked % SLICE === 0) await setImmediate();
      signal?.throwIfAborted();
      const isNew = stat.nlink === 1 || linked.size < linked.add(`${stat.dev} ${stat.ino}`).size;
      if (!isNew) continue;
      size += stat.blocks * 512;
      inodes++;
    }
  } finally {
    close(dirfd);
  }
  return { size, inodes };
}
