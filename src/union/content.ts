import type { Index } from '../erofs/index-file.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';

/**
 * Where the files' bytes of one layer come from: the directory it was extracted to
 * (`directoryData`), its kept tar, or its compressed blob (`tarData`).
 */
export interface LayerData {
  /** Streams bytes `start` (included) to `end` (excluded, at most the size) of a regular file. */
  read(file: LayerFile, start: number, end: number, options?: Abortable): Bytes;
  /** Gives back what reading needs; the next read takes it again. Absent: there is no such thing. */
  close?(): Promise<void>;
}

/** A regular file of a layer. */
export interface LayerFile {
  /** From the layer's root, without a leading slash and without symbolic links (byte string). */
  readonly path: string;
  readonly nid: number;
  /** In bytes. */
  readonly size: number;
  readonly index: Index;
}

/** What is read, and allocated, at once. */
export const CHUNK: number = 256 * 1024;
