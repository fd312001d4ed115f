import type { NewEntry } from './encode.ts';
import type { Entry } from './entry.ts';
import { TarReader } from './read.ts';

/**
 * What a reader of an archive tells of the member that `entry` was written as. Most members say in an
 * archive what they said before; where it is not that simple, what was written is read.
 *
 * @param name - as it was written
 * @param head - what was written before the data
 * @param dataOffset - where the data begin
 */
export function asRead(entry: NewEntry, name: string, head: Buffer, dataOffset: number): Entry {
  const { type, linkName, mode, uid, gid, size, mtime, mtimeNs, xattrs, sparse } = entry;
  if (xattrs !== undefined || sparse !== undefined) return read(head, dataOffset);
  const isDevice = type === 'char' || type === 'block';
  const dataSize = type === 'file' ? size : 0;
  return {
    type,
    name,
    linkName: type === 'link' || type === 'symlink' ? linkName : '',
    mode: mode & 0o7777,
    uid,
    gid,
    size: dataSize,
    mtime,
    mtimeNs,
    deviceMajor: isDevice ? entry.deviceMajor : 0,
    deviceMinor: isDevice ? entry.deviceMinor : 0,
    xattrs,
    dataOffset,
    dataSize,
    sparse,
  };
}

function read(head: Buffer, dataOffset: number): Entry {
  let found: Entry | undefined;
  const reader = new TarReader({
    entry: (entry) => {
      found = entry;
    },
    data() {},
    end() {},
  });
  reader.write(head);
  return { ...found!, dataOffset };
}
