import type { Root } from '../../fs/root.ts';
import type { Touched } from '../../snapshot/driver.ts';
import { close, O_DIRECTORY, O_RDONLY } from '../../sys/at.ts';
import { readNames } from '../../sys/dirents.ts';
import { findat } from '../../sys/stat.ts';
import {
  type Entry,
  isNoDirectory,
  type Listing,
  type OpenDirectory,
  type Source,
} from './source.ts';
import { type Moment, wholeTree } from './whole-tree.ts';

export interface TouchedTreeOptions {
  readonly touched: Touched;
  /** The parent's tree, which this one began with. */
  readonly tree: Root;
  readonly since: Moment | undefined;
}

/** A directory of which it is known where it differs from another one: nothing else of it is looked at. */
export function touchedTree(root: string, { touched, tree, since }: TouchedTreeOptions): Source {
  return {
    ...wholeTree(root, since),
    list(directory) {
      const within = touched.within(directory.path);
      const deleted = within.mayLack ? missingIn(directory, tree) : [];
      return { entries: namedIn(directory, within.names), deleted, complete: false };
    },
  };
}

function namedIn({ fd }: OpenDirectory, names: readonly string[]): Entry[] {
  return names.flatMap((name) => {
    const stat = findat(fd, name);
    return stat === undefined ? [] : { name, stat };
  });
}

/** What a directory of `tree` has, and this one has not. */
function missingIn({ fd, path }: OpenDirectory, tree: Root): Listing['deleted'] {
  const present = new Set(readNames(fd));
  return namesIn(tree, path).filter((name) => !present.has(name));
}

function namesIn(tree: Root, path: string): string[] {
  let fd: number;
  try {
    fd = tree.openExact(path, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (isNoDirectory(error)) return [];
    throw error;
  }
  try {
    return readNames(fd);
  } finally {
    close(fd);
  }
}
