import type { Digest, DiffId } from '../oci/digest.ts';
import type { LayerForm } from '../snapshot/driver.ts';

/** In bytes: a blob up to this size is unpacked in a moment, once it is there. */
export const SMALL_BLOB: number = 256 * 1024;

/** One pass over a layer: blob digest, inflate, diffID, tar, index and extraction. */
export interface UnpackJob {
  /** The file with the layer's bytes as stored; it may still be growing. */
  readonly blob: string;
  /** What the blob must be, in bytes and digest. */
  readonly size: number;
  readonly digest: Digest;
  /** Media type of the blob; the compression is found by its magic bytes. */
  readonly mediaType: string;
  /** What the tar must hash to, if known. */
  readonly diffId: DiffId | undefined;
  readonly form: LayerForm;
  /** Existing directory of the layer: gets `index.erofs`, and `fs/` or `layer.tar`. */
  readonly directory: string;
  /**
   * Lower layers, nearest first; none: this is the base; `undefined`: not known yet. Needed by
   * `direct`, and by a layer that depends on them.
   */
  readonly parents: readonly ParentLayer[] | undefined;
}

export interface ParentLayer {
  /** Directory with `index.erofs`. */
  readonly directory: string;
  readonly diffId: DiffId;
  /** Where the parent's files are, for hard links to them. */
  readonly form: LayerForm;
}

export interface UnpackResult {
  readonly digest: Digest;
  readonly diffId: DiffId;
  /** Uncompressed tar, in bytes. */
  readonly tarSize: number;
  readonly indexSize: number;
  /** sha256 of `index.erofs`. */
  readonly indexDigest: Digest;
  /**
   * The layer omits parent directories, writes through a lower symlink, hard-links a lower file, or
   * hides all of the root: its tree depends on what is below it (docs/layer-format.md). Known whether
   * or not `parents` were given; if they were not, the directory holds nothing of use (no index
   * either), and the layer must be unpacked again when they are there.
   */
  readonly dependent: boolean;
  readonly stats: LayerStats;
}

export interface LayerStats {
  /** Entries of the layer's tree, the root, implicit directories and whiteouts not counted. */
  readonly entries: number;
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly others: number;
  readonly whiteouts: number;
  readonly opaques: number;
  /** Sum of the sizes of files and symbolic links, hard links once, in bytes: what docker calls the size. */
  readonly bytes: number;
}
