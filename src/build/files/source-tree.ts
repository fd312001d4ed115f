import type { Abortable, Bytes } from '../../io/bytes.ts';
import type { FileType, TreeStat } from '../../union/tree.ts';

/**
 * Files that COPY and ADD take from: the build context, an image, an unpacked archive.
 *
 * Paths are byte strings from the root, without a leading slash, clean, and without symbolic links
 * on the way ({@link resolveIn} makes such); '' is the root.
 */
export interface SourceTree {
  /** For messages: `the build context`, `stage base`. */
  readonly name: string;
  /** @returns `undefined` when nothing is there, or it is left out */
  lstat(path: string): SourceFile | undefined;
  /** What a directory has, in byte order. */
  names(path: string): readonly string[];
  /** Of a regular file: exactly its bytes. */
  read(path: string, options?: Abortable): Bytes;
}

/** A file as a layer would carry it. */
export interface SourceFile {
  readonly type: FileType;
  /** Permission bits, setuid, setgid and sticky included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a regular file, in bytes. */
  readonly size: number;
  /** Seconds since 1970, and nanoseconds always added to that. */
  readonly mtime: number;
  readonly mtimeNs: number;
  /** Of a symbolic link, a byte string; else ''. */
  readonly target: string;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: TreeStat['xattrs'];
  /** Equal for hard links of one file in this tree; `undefined` for what has no other name. */
  readonly identity: string | undefined;
}

/** Of paths: the directory. */
export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

export const baseOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

export const under = (directory: string, name: string): string =>
  directory === '' || name === '' ? directory + name : `${directory}/${name}`;

/** Text as a byte string. */
export const toByteString = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** A byte string as text, for people. */
export const toText = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

/** What nothing is known of but what it is. */
export const PLAIN = {
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  mtimeNs: 0,
  target: '',
  major: 0,
  minor: 0,
  xattrs: [],
  identity: undefined,
} as const;

/** A directory that stands for nothing on any disk: the root of what is made up. */
export const PLAIN_DIRECTORY: SourceFile = { ...PLAIN, type: 'directory', mode: 0o755 };
