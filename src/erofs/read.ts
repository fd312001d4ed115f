import { MicaError } from '../errors.ts';
import type { DirectoryBlock } from './reader/directory.ts';
import { compareName, entryOf, nidOf, openBlock } from './reader/directory.ts';
import { flatParts, readExtents, refuseCompressed } from './reader/extents.ts';
import * as F from './format.ts';
import type { Index, IndexDirent } from './index-file.ts';
import type { DiskInode } from './reader/inode.ts';
import { damaged, decodeInode } from './reader/inode.ts';
import type { Extent, IndexDevice, Xattr } from './node.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './node.ts';
import type { ImageBytes } from './reader/pages.ts';
import { bytesOf, openBytes } from './reader/pages.ts';
import type { Superblock } from './reader/superblock.ts';
import { decodeSuperblock } from './reader/superblock.ts';
import { decodeLongPrefixes, readXattrs } from './reader/xattr.ts';

/** Opens an EROFS image: a file, or bytes that must not change while it is open. */
export function openIndex(source: string | Uint8Array): Index {
  const bytes = typeof source === 'string' ? openBytes(source) : bytesOf(source);
  try {
    return new ErofsIndex(bytes);
  } catch (error) {
    bytes.close();
    throw error;
  }
}

class ErofsIndex implements Index {
  readonly root: number;
  readonly uuid: string;
  readonly devices: readonly IndexDevice[];
  readonly blockSize: number;
  readonly inodes: number;
  readonly size: number;
  readonly #bytes: ImageBytes;
  readonly #superblock: Superblock;
  #prefixes: readonly string[] | undefined;

  constructor(bytes: ImageBytes) {
    this.#bytes = bytes;
    this.#superblock = decodeSuperblock(bytes);
    this.root = this.#superblock.root;
    this.uuid = this.#superblock.uuid;
    this.devices = this.#superblock.devices;
    this.blockSize = 2 ** this.#superblock.blockBits;
    this.inodes = this.#superblock.inodes;
    this.size = bytes.size;
    if ((this.stat(this.root).mode & S_IFMT) !== S_IFDIR)
      throw damaged(this.root, 'the root is no directory');
  }

  stat(nid: number): DiskInode {
    return decodeInode(this.#bytes, this.#superblock, nid);
  }

  lookup(directory: number, name: string): number | undefined {
    const inode = this.#typed(directory, S_IFDIR);
    // Newer images may leave the entry out.
    if (name === '.') return directory;
    const wanted = Buffer.from(name, 'latin1');
    const block = this.#findBlock(inode, wanted);
    if (!block) return undefined;
    let low = 0;
    let high = block.count - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const order = compareName(wanted, block, middle);
      if (order === 0) return nidOf(block, middle);
      if (order > 0) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  readdir(directory: number): IndexDirent[] {
    const inode = this.#typed(directory, S_IFDIR);
    const entries: IndexDirent[] = [];
    const directories = new Set<number>();
    let previous = '';
    for (let number = 0; number * this.blockSize < inode.size; number++) {
      const block = this.#block(inode, number);
      for (let i = 0; i < block.count; i++) {
        const entry = entryOf(block, i);
        if (entry.name <= previous)
          throw damaged(directory, `${JSON.stringify(entry.name)} is not in order`);
        previous = entry.name;
        if (entry.name === '.' || entry.name === '..') continue;
        if (entry.type === S_IFDIR && directories.size === directories.add(entry.nid).size)
          throw damaged(directory, `${JSON.stringify(entry.name)} is a directory with two names`);
        entries.push(entry);
      }
    }
    return entries;
  }

  readlink(nid: number): string {
    const inode = this.#typed(nid, S_IFLNK);
    if (inode.size === 0 || inode.size > F.EROFS_SYMLINK_MAX)
      throw damaged(nid, `a symbolic link of ${inode.size} bytes`);
    const target = this.#flat(inode, 0, inode.size).toString('latin1');
    if (target.includes('\0')) throw damaged(nid, 'a symbolic link with NUL in its target');
    return target;
  }

  xattrs(nid: number): Xattr[] {
    const longPrefix = (index: number): string => {
      const prefix = this.#longPrefixes()[index];
      if (prefix === undefined) throw damaged(nid, `an xattr with long prefix ${index}`);
      return prefix;
    };
    const source = { bytes: this.#bytes, superblock: this.#superblock, longPrefix };
    return readXattrs(source, this.stat(nid));
  }

  extents(nid: number): Extent[] {
    const inode = this.#typed(nid, S_IFREG);
    return readExtents({ bytes: this.#bytes, superblock: this.#superblock }, inode);
  }

  read(physical: number, into: Uint8Array): void {
    for (let done = 0; done < into.length;) {
      const length = Math.min(into.length - done, 4096);
      const at = this.#bytes.locate(physical + done, length);
      into.set(this.#bytes.buffer.subarray(at, at + length), done);
      done += length;
    }
  }

  close(): void {
    this.#bytes.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #typed(nid: number, type: number): DiskInode {
    const inode = this.stat(nid);
    if ((inode.mode & S_IFMT) !== type)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `read inode ${nid}: it is no ${TYPE_NAMES.get(type)!}`,
      );
    return inode;
  }

  /** The last block whose first name is not behind `wanted`. */
  #findBlock(inode: DiskInode, wanted: Buffer): DirectoryBlock | undefined {
    let low = 0;
    let high = Math.ceil(inode.size / this.blockSize) - 1;
    let found: number | undefined;
    while (low <= high) {
      const middle = Math.floor((low + high) / 2);
      const order = compareName(wanted, this.#block(inode, middle), 0);
      if (order >= 0) found = middle;
      if (order === 0) break;
      if (order > 0) low = middle + 1;
      else high = middle - 1;
    }
    return found === undefined ? undefined : this.#block(inode, found);
  }

  #block(inode: DiskInode, number: number): DirectoryBlock {
    const logical = number * this.blockSize;
    const length = Math.min(this.blockSize, inode.size - logical);
    const start = this.#locateFlat(inode, logical, length);
    return openBlock(this.#bytes.buffer, start, length, inode.nid);
  }

  #locateFlat(inode: DiskInode, logical: number, length: number): number {
    refuseCompressed(inode);
    const { start, inBlocks, tail } = flatParts(inode, this.blockSize);
    if (logical >= inBlocks) return this.#bytes.locate(tail + logical - inBlocks, length);
    if (start < 0) throw damaged(inode.nid, 'a hole where there must be data');
    return this.#bytes.locate(start + logical, length);
  }

  #flat(inode: DiskInode, from: number, to: number): Buffer {
    const bytes = Buffer.allocUnsafe(to - from);
    for (let logical = from; logical < to;) {
      const next = Math.min((Math.floor(logical / this.blockSize) + 1) * this.blockSize, to);
      const at = this.#locateFlat(inode, logical, next - logical);
      this.#bytes.buffer.copy(bytes, logical - from, at, at + next - logical);
      logical = next;
    }
    return bytes;
  }

  /** They lie in the packed inode if there is one, else in the image. */
  #longPrefixes(): readonly string[] {
    if (this.#prefixes) return this.#prefixes;
    const { prefixCount, prefixStart, packedNid, featureCompat, featureIncompat } =
      this.#superblock;
    const packed =
      packedNid !== 0 &&
      (featureIncompat & F.FEATURE_INCOMPAT_FRAGMENTS) !== 0 &&
      (featureCompat & F.FEATURE_COMPAT_PLAIN_XATTR_PFX) === 0
        ? this.#typed(packedNid, S_IFREG)
        : undefined;
    this.#prefixes = decodeLongPrefixes(prefixCount, prefixStart, (offset, length) => {
      if (packed && offset + length > packed.size)
        throw damaged(packedNid, 'an xattr prefix behind its end');
      if (packed) return this.#flat(packed, offset, offset + length);
      const at = this.#bytes.locate(offset, length);
      return this.#bytes.buffer.subarray(at, at + length);
    });
    return this.#prefixes;
  }
}

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symbolic link'],
  [S_IFREG, 'regular file'],
]);
