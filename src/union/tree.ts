import type { Bytes } from '../io/bytes.ts';

/** A path inside an image: text (UTF-8) or raw bytes. `/a/b`, `a/b` and `./a/b` are the same. */
export type TreePath = string | Uint8Array;

/**
 * The union of an image's layers as one read-only tree, in user space: no mount, no root, any OS.
 * Whiteouts and opaque directories are applied; symbolic links are resolved inside the tree only.
 */
export interface UnionTree extends AsyncDisposable {
  /** Follows symbolic links. @throws NOT_FOUND */
  stat(path: TreePath): TreeStat;
  /** Does not follow the last component. @throws NOT_FOUND */
  lstat(path: TreePath): TreeStat;
  /** Sorted in byte order. @throws NOT_FOUND, FAILED_PRECONDITION when it is not a directory */
  readdir(path: TreePath): TreeDirent[];
  readlink(path: TreePath): string;
  readFile(path: TreePath): Promise<Buffer>;
  createReadStream(path: TreePath, options?: { readonly start?: number; readonly end?: number }): Bytes;
  /** `path` and everything below it, depth first, siblings in byte order. */
  walk(path?: TreePath): Iterable<TreeEntry>;
  /** Every layer's word on `path` (not followed), topmost first. */
  history(path: TreePath): PathLayer[];
}

export interface TreeDirent {
  /** Decoded as UTF-8; `raw` is exact. */
  readonly name: string;
  readonly raw: Uint8Array;
  readonly type: FileType;
}

export interface TreeEntry {
  /** `/`-rooted, decoded as UTF-8; `raw` is exact. */
  readonly path: string;
  readonly raw: Uint8Array;
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
  /** Seconds and nanoseconds since 1970. */
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly nlink: number;
  /** Distinguishes inodes: two names with the same value are hard links. */
  readonly ino: string;
  readonly major: number;
  readonly minor: number;
  readonly target?: string | undefined;
  readonly xattrs: readonly { readonly name: string; readonly value: Uint8Array }[];
  /** Which layer provides it, 0 is the base. */
  readonly layer: number;
}

/** What one layer says about a path. */
export interface PathLayer {
  /** 0 is the base. */
  readonly layer: number;
  readonly kind: 'provides' | 'merges' | 'deletes' | 'hidden' | 'hidden-by-opaque' | 'whiteout-hidden';
  readonly stat?: TreeStat | undefined;
  /** The ancestor whose whiteout, opaque mark or replacement hides this version. */
  readonly by?: { readonly layer: number; readonly path: string } | undefined;
}
