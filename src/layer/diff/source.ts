import { errnoOf } from '../../sys/errno.ts';
import type { FileStat } from '../../sys/stat.ts';
import { findat } from '../../sys/stat.ts';
import { readNames } from '../../sys/dirents.ts';
import type { Xattr } from '../../sys/xattr.ts';

/** How the tree whose changes are sought spells them. */
export interface Source {
  /** The tree's directory. */
  readonly root: string;
  /** What a directory holds. */
  list(directory: OpenDirectory): Listing;
  /** @throws FAILED_PRECONDITION for a file that is not what it seems to be. @param xattrs - all that it has */
  check(path: string, xattrs: readonly Xattr[]): void;
  /**
   * Whether the file is surely as the layers below have it if its attributes are: nobody has
   * touched it since. If not, contents are compared.
   */
  isUntouched(stat: FileStat): boolean;
}

export interface OpenDirectory {
  readonly fd: number;
  readonly path: string;
  /** All that it has. */
  readonly xattrs: readonly Xattr[];
}

export interface Listing {
  /** What is there, in byte order. */
  readonly entries: readonly Entry[];
  /** Names that are said to be deleted. */
  readonly deleted: readonly string[];
  /** Whether everything else that lower layers have in the directory is gone; otherwise it is as they have it. */
  readonly complete: boolean;
}

export interface Entry {
  readonly name: string;
  readonly stat: FileStat;
}

/** Everything in an open directory, in byte order; what vanishes meanwhile is left out. */
export function entriesOf(fd: number): Entry[] {
  const entries: Entry[] = [];
  for (const name of readNames(fd).sort()) {
    const stat = findat(fd, name);
    if (stat !== undefined) entries.push({ name, stat });
  }
  return entries;
}

/** Why a directory could not be opened: there is nothing (any more), a file, or a link. */
export const isNoDirectory = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '');
