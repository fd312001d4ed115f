import type { Abortable } from '../../../io/bytes.ts';
import { Pace } from '../../../io/pace.ts';
import {
  type InodeName,
  inodeNames,
  ROOT_DIRECTORY,
  touchedInodes,
  type TouchedInode,
} from '../../../sys/btrfs/inodes.ts';
import { nestedIn, type Subvolume } from '../../../sys/btrfs/subvolume.ts';
import type { Touched, TouchedNames } from '../../driver.ts';

/** A directory with something that was touched. */
interface Directory {
  readonly children: Map<string, Directory>;
  mayLack: boolean;
}

const SAME: TouchedNames = { names: [], mayLack: false };

/**
 * Where a snapshot differs from the subvolume that it was made of, which nobody has written to since:
 * in the files that were changed after that transaction. The tree of the subvolume tells their numbers
 * without being read as a whole. A file keeps its number for life, and whoever changes it, its names or
 * what is in a directory changes its record.
 *
 * @param fd - of anything on the file system, all of which has reached the disk
 * @returns `undefined` where that does not tell everything: what is in a directory that was moved has
 * not been touched, nor has what is in a subvolume that somebody made
 */
export async function findTouched(
  fd: number,
  { own, parent }: { readonly own: Subvolume; readonly parent: Subvolume },
  { signal }: Abortable = {},
): Promise<Touched | undefined> {
  if (nestedIn(fd, own.id).length > 0) return undefined;
  const tree = new TouchedTree(fd, own.id);
  const pace = new Pace(signal);
  for (const inode of touchedInodes(fd, own.id, own.snapshotted)) {
    if (inode.isDirectory && isMoved(fd, parent.id, inode)) return undefined;
    tree.add(inode);
    if (pace.due) await pace.rest();
  }
  return tree;
}

/** Whether the parent has this very directory, and under another name. */
function isMoved(fd: number, parent: number, { number, names: [now] }: TouchedInode): boolean {
  const [before] = inodeNames(fd, parent, number);
  if (before === undefined) return false;
  return before.directory !== now?.directory || before.name !== now.name;
}

class TouchedTree implements Touched {
  readonly #fd: number;
  readonly #id: number;
  readonly #root = emptyDirectory();
  /** By number. */
  readonly #directories = new Map([[ROOT_DIRECTORY, this.#root]]);

  /** @param id - of the subvolume, on the file system of `fd` */
  constructor(fd: number, id: number) {
    this.#fd = fd;
    this.#id = id;
  }

  add({ number, isDirectory, names }: TouchedInode): void {
    for (const name of names) this.#child(name);
    if (isDirectory) this.#directory(number).mayLack = true;
  }

  within(path: string): TouchedNames {
    let at: Directory | undefined = this.#root;
    for (const name of path === '' ? [] : path.split('/')) at = at?.children.get(name);
    return at ? { names: [...at.children.keys()].sort(), mayLack: at.mayLack } : SAME;
  }

  /** The directory of this number, and with it all that lead to it, however many. */
  #directory(number: number): Directory {
    const way: { readonly number: number; readonly name: string }[] = [];
    let [at, found] = [number, this.#directories.get(number)];
    while (found === undefined) {
      const [name] = inodeNames(this.#fd, this.#id, at);
      if (name === undefined) {
        found = emptyDirectory();
        this.#directories.set(at, found);
      } else {
        way.push({ number: at, name: name.name });
        at = name.directory;
        found = this.#directories.get(at);
      }
    }
    for (const step of way.reverse()) {
      found = childOf(found, step.name);
      this.#directories.set(step.number, found);
    }
    return found;
  }

  #child({ directory, name }: InodeName): Directory {
    return childOf(this.#directory(directory), name);
  }
}

const emptyDirectory = (): Directory => ({ children: new Map(), mayLack: false });

function childOf({ children }: Directory, name: string): Directory {
  let child = children.get(name);
  if (child === undefined) {
    child = emptyDirectory();
    children.set(name, child);
  }
  return child;
}
