import type { Abortable, Bytes } from '../io/bytes.ts';

/**
 * A path inside an image: text (UTF-8) or raw bytes. `/a/b`, `a/b` and `./a//b` are the same;
 * `..` of the root is the root; a trailing slash asks for a directory, as everywhere in Unix.
 */
export type TreePath = string | Uint8Array;

/**
 * A read-only tree of files. Symbolic links are resolved inside it only.
 *
 * Every lookup throws NOT_FOUND when nothing is there, FAILED_PRECONDITION when something on the
 * way is not a directory (ENOTDIR) or 40 symbolic links do not suffice (ELOOP).
 */
export interface FileTree {
  /** Whether names that differ in case only are one name, as on Windows. Default: they are not. */
  readonly ignoresCase?: boolean;
  /** Follows symbolic links. */
  stat(path: TreePath): TreeStat;
  /** Does not follow the last component. */
  lstat(path: TreePath): TreeStat;
  /** Sorted in byte order. @throws FAILED_PRECONDITION when it is not a directory */
  readdir(path: TreePath): TreeDirent[];
  /** As {@link readdir}, with the path and all attributes of each; these are decoded when one looks. */
  list(path: TreePath): TreeEntry[];
  /** @throws FAILED_PRECONDITION when it is not a symbolic link */
  readlink(path: TreePath): string;
  /** Where `path` leads, and through which links; what does not exist below is kept as it was written. */
  resolve(path: TreePath, options?: ResolveOptions): Resolution;
  /** @throws FAILED_PRECONDITION when it is not a regular file, RESOURCE_EXHAUSTED above 1 GiB */
  readFile(path: TreePath, options?: Abortable): Promise<Buffer>;
  /** `start` and `end` as in `fs.createReadStream`: `end` is inclusive. Holes read as zeros. */
  createReadStream(path: TreePath, options?: ReadOptions): Bytes;
  /** `path` and everything below it, depth first, siblings in byte order; links are not followed. */
  walk(path?: TreePath): Iterable<TreeEntry>;
}

/**
 * The union of an image's layers as one read-only tree, in user space: no mount, no root, any OS.
 * Whiteouts and opaque directories are applied.
 */
export interface UnionTree extends FileTree, AsyncDisposable {
  /** How many layers it has. Layer 0 is the base. */
  readonly depth: number;
  /**
   * Every layer's word on `path`, topmost first; links on the way are followed, the last component
   * is not. Paths that some layer deleted have a history too; `[]`: no layer ever had it.
   */
  history(path: TreePath): PathLayer[];
  /** Every path of every layer once, with all its versions, hidden ones included; parents first. */
  survey(visit: (path: SurveyedPath) => void): void;
}

export interface ResolveOptions {
  /** Follow the last component, too. Default true. */
  readonly follow?: boolean;
}

export interface ReadOptions extends Abortable {
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

export interface Resolution extends Named {
  /** Symbolic links that were followed, in that order. */
  readonly links: readonly FollowedLink[];
  readonly exists: boolean;
}

export interface FollowedLink {
  readonly path: string;
  readonly target: string;
  /** Which layer provides the link. */
  readonly layer: number;
}

/** Something with a path. */
export interface Named {
  /** `/`-rooted, decoded as UTF-8; `raw` is exact. */
  readonly path: string;
  readonly raw: Uint8Array;
}

export interface TreeDirent {
  /** Decoded as UTF-8; `raw` is exact. */
  readonly name: string;
  readonly raw: Uint8Array;
  readonly type: FileType;
}

export interface TreeEntry extends Named {
  readonly type: FileType;
  readonly stat: TreeStat;
}

export type FileType = 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

export interface TreeStat {
  readonly type: FileType;
  /** Type and permission bits, as in `st_mode`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** In bytes. */
  readonly size: number;
  /** Seconds since 1970; may be negative. */
  readonly mtime: number;
  /** Nanoseconds, 0 to 999,999,999, always added to `mtime`. */
  readonly mtimeNs: number;
  /** Of a directory that several layers merge into: 1, as overlayfs says. */
  readonly nlink: number;
  /** Distinguishes inodes: two names with the same value are hard links. */
  readonly ino: string;
  readonly major: number;
  readonly minor: number;
  /** Of a symbolic link, decoded as UTF-8; `rawTarget` is exact. */
  readonly target?: string | undefined;
  readonly rawTarget?: Uint8Array | undefined;
  readonly xattrs: readonly { readonly name: string; readonly value: Uint8Array }[];
  /** Which layer provides it, 0 is the base. */
  readonly layer: number;
}

/** What one layer says about a path. */
export type PathLayer =
  /** What one sees; `merges`: a directory whose content joins that of the one above. */
  | { readonly layer: number; readonly kind: 'provides' | 'merges'; readonly stat: TreeStat }
  /** A version that nobody sees. */
  | {
      readonly layer: number;
      readonly kind: 'hidden';
      readonly stat: TreeStat;
      readonly by: Cover;
    }
  /** This layer takes the versions below it away, without (or before) providing one itself. */
  | { readonly layer: number; readonly kind: 'deletes'; readonly by: Cover };

/** Why a lower version is not seen. */
export interface Cover {
  readonly layer: number;
  /**
   *  - `version`: a newer version of the path itself
   *  - `whiteout`: a deletion of `path`, which is the path itself or a directory above it
   *  - `opaque`: `path`, a directory above it (or itself), was emptied
   *  - `replacement`: `path`, a directory above it, became something else
   */
  readonly how: 'version' | 'whiteout' | 'opaque' | 'replacement';
  readonly path: string;
}

/** A path as all layers have it. Valid during the visit only. */
export interface SurveyedPath extends Named {
  /** Base layer first. */
  readonly versions: readonly PathVersion[];
}

export interface PathVersion {
  readonly layer: number;
  /** `undefined`: the layer deletes what lower layers have here, itself or by what it did to a directory above. */
  readonly file: SurveyedFile | undefined;
  /** The layer that takes this version out of sight; `undefined`: it is seen (directories merge). */
  readonly hiddenBy: number | undefined;
}

export interface SurveyedFile {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** In bytes. */
  readonly size: number;
  readonly nlink: number;
  /** As in {@link TreeStat}. */
  readonly ino: string;
}
