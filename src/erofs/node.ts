/**
 * A file system tree in memory, on its way into an index.
 *
 * Names, link targets and xattr names are *byte strings*: one UTF-16 unit per byte ("latin1"),
 * so nothing is re-encoded, comparison with `<` is byte order, and `Buffer.latin1Write` writes them.
 */
export class Node {
  /** Type and permission bits, as in `st_mode`. */
  mode: number;
  uid = 0;
  gid = 0;
  /** In bytes; of a symbolic link, the length of its target. */
  size = 0;
  /** Seconds since 1970, may be negative. */
  mtime = 0;
  /** Nanoseconds, 0 to 999,999,999. */
  mtimeNs = 0;
  /** Device number of a device node, as {@link makeDevice} encodes it. */
  rdev = 0;
  /** Symbolic link target. */
  target: string | undefined = undefined;
  xattrs: Xattr[] | undefined = undefined;
  /** Present in directories only. */
  children: Map<string, Node> | undefined = undefined;
  /** Where the content lies; bytes not covered by an extent are zero (a hole). Sorted by `logical`. */
  extents: Extent[] | undefined = undefined;
  /** A directory no tar entry described; it exists because something lies below it. */
  implicit = false;
  /** The writer's scratch: this node's place in the list it works on. Means nothing to anybody else. */
  slot = 0;

  constructor(mode: number) {
    this.mode = mode;
    if ((mode & S_IFMT) === S_IFDIR) this.children = new Map();
  }
}

export interface Xattr {
  /** With its prefix: `user.x`, `security.capability`, … (byte string). */
  readonly name: string;
  readonly value: Uint8Array;
}

/** A run of file content in a data device. */
export interface Extent {
  /** Offset in the file, in bytes. */
  readonly logical: number;
  /**
   * 1: the layer's own tar. 2 and up: the tars of other layers, see {@link IndexDevice}. 0: the index itself.
   * Below 0: what a written index cannot point to, and the writer copies into it.
   */
  readonly device: number;
  /** Offset in the device, in bytes. */
  readonly physical: number;
  /** In bytes. */
  readonly length: number;
}

/**
 * The device of an {@link Extent} whose bytes are in no tar that an index may point into: the layer's
 * own tree has them, or a lower layer's. The index then knows that the file has data, not where.
 */
export const UNMAPPED_DEVICE = 0xffff;

export interface IndexDevice {
  /** Hex digits of the diffID of the layer whose tar this is. 64 characters fit the device slot's tag exactly. */
  readonly tag: string;
  /** In bytes. */
  readonly size: number;
}

/**
 * The kernel's 32-bit encoding of a device number: 12 bits of major, 20 of minor.
 * @see https://github.com/torvalds/linux/blob/v6.12/include/linux/kdev_t.h `new_encode_dev`
 */
export function makeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

export const majorOf = (device: number): number => (device >>> 8) & 0xfff;
export const minorOf = (device: number): number => (device & 0xff) | ((device >>> 12) & 0xfff00);

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
