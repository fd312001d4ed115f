import { MicaError } from '../../errors.ts';
import * as F from '../format.ts';
import type { DiskInode } from './inode.ts';
import { damaged } from './inode.ts';
import type { Xattr } from '../node.ts';
import type { ImageBytes } from './pages.ts';
import type { Superblock } from './superblock.ts';

/** Where to read xattrs, and what long prefixes mean. */
export interface XattrSource {
  readonly bytes: ImageBytes;
  readonly superblock: Superblock;
  /** Long prefix number `index`, whole. */
  readonly longPrefix: (index: number) => string;
}

/** All xattrs of an inode, inline and shared, sorted by name. */
export function readXattrs(source: XattrSource, inode: DiskInode): Xattr[] {
  if (!inode.hasXattrs) return [];
  const { bytes, superblock } = source;
  const limit = inode.end + inode.xattrSize;
  const header = bytes.locate(inode.end, inode.xattrSize);
  const count = bytes.buffer[header + F.XATTR_SHARED_COUNT]!;
  const shared = Array.from({ length: count }, (_, i) => {
    const id = header + F.XATTR_IBODY_HEADER_SIZE + 4 * i;
    if (F.XATTR_IBODY_HEADER_SIZE + 4 * (i + 1) > inode.xattrSize)
      throw damaged(inode.nid, `${count} shared xattrs do not fit in`);
    return bytes.buffer.readUInt32LE(id);
  });
  const found: Xattr[] = [];
  let at = inode.end + F.XATTR_IBODY_HEADER_SIZE + 4 * count;
  while (at < limit) {
    if (isPadding(bytes, at)) {
      at += F.XATTR_ENTRY_SIZE;
      continue;
    }
    const { xattr, size } = readEntry(source, at, inode.nid);
    at += size;
    if (at > limit) throw damaged(inode.nid, 'an xattr that does not fit in');
    found.push(xattr);
  }
  for (const id of shared)
    found.push(readEntry(source, superblock.xattrStart + 4 * id, inode.nid).xattr);
  found.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (let i = 1; i < found.length; i++)
    if (found[i]!.name === found[i - 1]!.name)
      throw damaged(inode.nid, `two xattrs named ${JSON.stringify(found[i]!.name.slice(0, 300))}`);
  return found;
}

/** `mkfs.erofs --root-xattr-isize` leaves room behind the last entry; no entry is all zeros. */
function isPadding(bytes: ImageBytes, offset: number): boolean {
  const at = bytes.locate(offset, F.XATTR_ENTRY_SIZE);
  return bytes.buffer.readUInt32LE(at) === 0;
}

function readEntry(
  source: XattrSource,
  offset: number,
  nid: number,
): { xattr: Xattr; size: number } {
  const { bytes } = source;
  const head = bytes.locate(offset, F.XATTR_ENTRY_SIZE);
  const nameLength = bytes.buffer[head]!;
  const index = bytes.buffer[head + 1]!;
  const valueLength = bytes.buffer.readUInt16LE(head + 2);
  const prefix =
    index & F.XATTR_LONG_PREFIX
      ? source.longPrefix(index & ~F.XATTR_LONG_PREFIX)
      : F.XATTR_PREFIXES[index];
  if (prefix === undefined) throw damaged(nid, `an xattr with prefix ${index}`);
  const size = F.XATTR_ENTRY_SIZE + nameLength + valueLength;
  const at = bytes.locate(offset, size) + F.XATTR_ENTRY_SIZE;
  const name = prefix + bytes.buffer.toString('latin1', at, at + nameLength);
  if (name.includes('\0')) throw damaged(nid, 'an xattr with NUL in its name');
  const value = new Uint8Array(
    bytes.buffer.subarray(at + nameLength, at + nameLength + valueLength),
  );
  return { xattr: { name, value }, size: (size + 3) & ~3 };
}

/**
 * The table of long prefixes: each is a length (u16), the number of a short prefix, and what follows it.
 * @param read gives `length` bytes of the table at `offset`
 */
export function decodeLongPrefixes(
  count: number,
  start: number,
  read: (offset: number, length: number) => Buffer,
): string[] {
  let at = start;
  return Array.from({ length: count }, () => {
    const length = read(at, 2).readUInt16LE();
    if (length === 0 || length > F.EROFS_NAME_LEN + 1)
      throw new MicaError('DATA_LOSS', `read index: an xattr prefix of ${length} bytes`);
    const entry = read(at + 2, length);
    at += (2 + length + 3) & ~3;
    const base = F.XATTR_PREFIXES[entry[0]!];
    if (base === undefined)
      throw new MicaError('DATA_LOSS', `read index: xattr prefix ${entry[0]!} is unknown`);
    return base + entry.toString('latin1', 1, length);
  });
}
