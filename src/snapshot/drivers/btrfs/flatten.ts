import { copyTree } from '../../../fs/copy.ts';
import { removeTreeAt } from '../../../fs/remove.ts';
import { Root } from '../../../fs/root.ts';
import {
  close,
  mkdirat,
  O_DIRECTORY,
  O_RDONLY,
  RENAME_EXCHANGE,
  renameat,
} from '../../../sys/at.ts';
import { inodeNames, ROOT_DIRECTORY } from '../../../sys/btrfs/inodes.ts';
import { type Nested, nestedIn, subvolumeOf } from '../../../sys/btrfs/subvolume.ts';
import { futimens } from '../../../sys/file.ts';
import { statat } from '../../../sys/stat.ts';
import { destroyWithNested } from './destroy.ts';
import { openDirectory, openRoot } from './open-directory.ts';

/**
 * Makes directories of the subvolumes that programs have made in the one at `path`, with all that is in
 * them: a snapshot would show empty ones in their place. Nothing is mounted of it; can be repeated.
 */
export async function flatten(path: string): Promise<void> {
  using opened = openDirectory(path);
  const { fd } = opened;
  const { id } = subvolumeOf(fd);
  using root = new Root(path);
  for (const nested of nestedIn(fd, id)) {
    const directory = root.openExact(pathOf(fd, id, nested.directory), O_RDONLY | O_DIRECTORY);
    try {
      const { mtime, mtimeNs } = statat(directory, '');
      await replace(directory, nested);
      futimens(directory, mtime, mtimeNs, nested.name);
    } finally {
      close(directory);
    }
  }
}

/** The subvolume stays whole until the directory has its name. */
async function replace(directory: number, { id, name }: Nested): Promise<void> {
  const copy = `.mica-subvolume-${id}`;
  // Otherwise they have changed places, and a crash came in between.
  if (name !== copy) {
    removeTreeAt(directory, copy);
    mkdirat(directory, copy, 0o700);
    using source = openRoot(directory, id);
    try {
      await copyTree(`/proc/self/fd/${source.fd}`, `/proc/self/fd/${directory}/${copy}`);
    } catch (error) {
      removeTreeAt(directory, copy);
      throw error;
    }
    renameat(directory, copy, directory, name, RENAME_EXCHANGE);
  }
  destroyWithNested(directory, id);
}

/** Of a directory in subvolume `id`, from its root. */
function pathOf(fd: number, id: number, directory: number): string {
  const names: string[] = [];
  for (let number = directory; number !== ROOT_DIRECTORY;) {
    const [at] = inodeNames(fd, id, number);
    names.push(at!.name);
    number = at!.directory;
  }
  return names.reverse().join('/');
}
