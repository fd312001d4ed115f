/**
 * One member of a tar archive, with every extension (ustar, GNU, pax) already applied.
 *
 * Names are *byte strings*: one UTF-16 unit per byte ("latin1"), never re-encoded. They are as the
 * archive has them: `./`, `..`, doubled and trailing slashes included; resolving them is the layer's affair.
 */
export interface Entry {
  readonly type: EntryType;
  readonly name: string;
  /** Target of a hard or symbolic link, else ''. */
  readonly linkName: string;
  /**
   * Permission bits, setuid, setgid and sticky included; no type bits. Beside an access control
   * list that the archive has as text, those of the list.
   */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file as it will be read, in bytes, holes included; of anything else 0. */
  readonly size: number;
  /** Seconds since 1970; may be negative. */
  readonly mtime: number;
  /** Nanoseconds, 0 to 999,999,999, always added to `mtime`. */
  readonly mtimeNs: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /**
   * From `SCHILY.xattr.*`, `LIBARCHIVE.xattr.*` and `RHT.security.selinux` records; access control
   * lists in the kernel's form, as `system.posix_acl_*`. No name twice.
   */
  readonly xattrs: readonly { readonly name: string; readonly value: Uint8Array }[] | undefined;
  /** `MSWINDOWS.*` and `LIBARCHIVE.creationtime` records by key, as a file of Windows has them. */
  readonly windows?: ReadonlyMap<string, string>;
  /** Where the stored data begin in the archive, in bytes. For a GNU 1.0 sparse file: after its map. */
  readonly dataOffset: number;
  /** Stored data in bytes (without padding, and without the sparse map). */
  readonly dataSize: number;
  /** Data runs of a sparse file, in order, `offset` in the file; together `dataSize` bytes. */
  readonly sparse: readonly { readonly offset: number; readonly length: number }[] | undefined;
}

export type EntryType = 'file' | 'link' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';

/**
 * What a `TarReader` tells, synchronously and in archive order. After the `entry` of a file comes
 * `data` with `dataSize` bytes in all, in pieces that are not empty and valid until the call
 * returns, and then `end`; after any other entry neither.
 */
export interface EntryHandler {
  entry(entry: Entry): void;
  data(chunk: Uint8Array): void;
  end(): void;
}
