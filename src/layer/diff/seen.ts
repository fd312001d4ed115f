import type { FileStat } from '../../sys/stat.ts';
import type { Xattr } from '../../sys/xattr.ts';
import { isDirectory } from './attributes.ts';
import type { LowerFile } from './lower-tree.ts';

/** A name that was looked at, until it is known what of it is a change. */
export interface Seen {
  readonly path: string;
  readonly parent: SeenDirectory | undefined;
  /** `undefined`: it was deleted. */
  readonly file: SeenFile | undefined;
  /** What the layers below have there. */
  readonly lower: LowerFile | undefined;
  /** `time`: a directory of which nothing but the time differs from what is below. */
  state: 'added' | 'modified' | 'time' | 'same' | 'deleted';
  /** The first path of the same file, if this is another one. */
  link: string | undefined;
}

export interface SeenFile {
  readonly stat: FileStat;
  /** Those that a layer carries, sorted by name. */
  readonly xattrs: readonly Xattr[];
  readonly target: string | undefined;
}

export interface SeenDirectory extends Seen {
  readonly file: SeenFile;
  /** Whether nothing shows in it but what it holds itself. */
  complete: boolean;
  opaque: boolean;
  /** Names in it that are there or were deleted. */
  names: readonly string[];
  /** How many names in it were deleted. */
  deletions: number;
  /** How many of the names that it holds are as the layers below have them. */
  kept: number;
  /** Directories in it that are changes. */
  readonly directories: SeenDirectory[];
}

export const deletion = (path: string, parent: SeenDirectory): Seen => ({
  path,
  parent,
  file: undefined,
  lower: undefined,
  state: 'deleted',
  link: undefined,
});

/** A file or directory that is there, so far taken for new. */
export function presence(
  path: string,
  parent: SeenDirectory | undefined,
  file: SeenFile,
  lower: LowerFile | undefined,
): Seen | SeenDirectory {
  const seen: Seen = { path, parent, file, lower, state: 'added', link: undefined };
  if (!isDirectory(file.stat)) return seen;
  const inside = { names: [], deletions: 0, kept: 0, directories: [] };
  return { ...seen, file, complete: parent?.complete === true, opaque: false, ...inside };
}

export const isSeenDirectory = (seen: Seen): seen is SeenDirectory => 'directories' in seen;

/** Whether it is a file that has other names. */
export const isLinked = (seen: Seen): boolean =>
  seen.file !== undefined && seen.file.stat.nlink > 1 && !isSeenDirectory(seen);
