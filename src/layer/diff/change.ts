import type { FileStat } from '../../sys/stat.ts';
import type { Xattr } from '../../sys/xattr.ts';

/** What became of a tree, against the layers below it. */
export interface Changes {
  /** The directory that holds what was added and modified, at the paths of the changes. */
  readonly root: string;
  /**
   * A directory comes before what is in it; in it, what was deleted comes first; else byte order.
   * Every directory above a change is a change itself, except the root.
   */
  readonly list: readonly Change[];
}

export type Change = Deleted | Present;

export interface Deleted {
  readonly kind: 'deleted';
  /** From the root, without a leading slash (byte string). */
  readonly path: string;
}

/** A file as it is now. */
export interface Present {
  readonly kind: 'added' | 'modified';
  /** From the root, without a leading slash (byte string); '' is the root itself. */
  readonly path: string;
  /** Of a directory: its own attributes, nothing but its time, or only something below it. */
  readonly what: 'itself' | 'time' | 'below';
  readonly stat: FileStat;
  /** Those that a layer carries. */
  readonly xattrs: readonly Xattr[];
  /** Of a symbolic link. */
  readonly target: string | undefined;
  /** The first of the paths that are hard links of this file, when this is another one. */
  readonly link: string | undefined;
  /** A directory that shows nothing of what lower layers have in it. */
  readonly opaque: boolean;
}

/** A change as people read it. */
export interface ListedChange {
  readonly kind: Change['kind'];
  /** `/`-rooted byte string. */
  readonly path: string;
}

/**
 * The changes that `docker diff` prints, sorted by path: directories above a change are modified,
 * the root is not mentioned, nor are directories of which nothing but the time differs.
 */
export function listChanges({ list }: Changes): ListedChange[] {
  return list
    .filter((change) => change.path !== '' && (change.kind === 'deleted' || change.what !== 'time'))
    .map(({ kind, path }) => ({ kind, path: `/${path}` }))
    .sort((a, b) => (sortKey(a.path) < sortKey(b.path) ? -1 : 1));
}

/** A directory before what is in it, and that before the directory's next sibling. */
const sortKey = (path: string): string => path.replaceAll('/', '\0');
