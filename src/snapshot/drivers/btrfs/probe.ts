import { join } from 'node:path';
import {
  createSubvolume,
  isOnBtrfs,
  setReadonly,
  snapshotSubvolume,
} from '../../../sys/btrfs/subvolume.ts';
import { inUserNamespace } from '../../../sys/userns.ts';
import { destroyTree } from './destroy.ts';
import { openDirectory } from './open-directory.ts';

/**
 * Does all that the driver does, in the existing, empty `directory`.
 * @returns why it does not work
 */
export function btrfsRefusal(directory: string): string | undefined {
  if (!isOnBtrfs(directory))
    return 'the store is not on a btrfs file system; choose a --root that is';
  if (inUserNamespace()) return 'the kernel lets only the root of the machine delete subvolumes';
  const [first, second] = [join(directory, 'first'), join(directory, 'second')];
  try {
    using parent = openDirectory(directory);
    createSubvolume(parent.fd, 'first');
    using source = openDirectory(first);
    setReadonly(source.fd, true);
    snapshotSubvolume(source.fd, parent.fd, 'second');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    for (const path of [second, first]) destroyTree(path);
  }
}
