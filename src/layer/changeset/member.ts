import { type Extent, makeDevice, Node } from '../../erofs/node.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../../erofs/node.ts';
import { MicaError } from '../../errors.ts';
import type { Entry } from '../../tar/entry.ts';
import { isReservedXattr } from './marks.ts';
import { MAX_PATH, shown } from './member-name.ts';

/** The kernel reads it as "do not change". */
const NO_ID = 0xffff_ffff;

const TYPES: Readonly<Record<Exclude<Entry['type'], 'link'>, number>> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
};

/**
 * The file that a member describes.
 * @throws INVALID_ARGUMENT for what no file can be
 */
export function nodeOf(entry: Entry): Node {
  const { type, uid, gid, mtime, mtimeNs } = entry;
  if (!isId(uid) || !isId(gid) || !Number.isSafeInteger(mtime))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${shown(entry.name)}: owner ${uid}:${gid} or time ${mtime} is out of range`,
    );
  const node = new Node(TYPES[type as keyof typeof TYPES] | (entry.mode & 0o7777));
  node.uid = uid;
  node.gid = gid;
  node.mtime = mtime;
  node.mtimeNs = mtimeNs;
  if (entry.xattrs !== undefined) node.xattrs = xattrsOf(entry.xattrs);
  if (type === 'file') {
    node.size = entry.size;
    node.extents = extentsOf(entry);
  } else if (type === 'symlink') node.target = targetOf(entry);
  else if (type === 'char' || type === 'block') node.rdev = deviceOf(entry);
  if (node.target !== undefined) node.size = node.target.length;
  return node;
}

const isId = (id: number): boolean => Number.isInteger(id) && id >= 0 && id < NO_ID;

function xattrsOf(xattrs: NonNullable<Entry['xattrs']>): Node['xattrs'] {
  const byName = new Map<string, Uint8Array>();
  for (const { name, value } of xattrs)
    if (!isReservedXattr(name)) byName.set(name, Uint8Array.from(value));
  if (byName.size === 0) return undefined;
  return [...byName].map(([name, value]) => ({ name, value }));
}

function targetOf({ name, linkName }: Entry): string {
  if (linkName !== '' && linkName.length <= MAX_PATH && !linkName.includes('\0')) return linkName;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${shown(name)}: a symbolic link to ${linkName.length} bytes cannot exist`,
  );
}

function deviceOf({ type, name, deviceMajor, deviceMinor }: Entry): number {
  const inRange = deviceMajor >= 0 && deviceMajor < 2 ** 12 && deviceMinor >= 0;
  if (!inRange || deviceMinor >= 2 ** 20)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${shown(name)}: there is no device ${deviceMajor}:${deviceMinor}`,
    );
  const rdev = makeDevice(deviceMajor, deviceMinor);
  if (type === 'char' && rdev === 0)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${shown(name)}: the character device 0:0 is overlayfs' mark of a deleted file; an archive says .wh.${shown(name.slice(name.lastIndexOf('/') + 1))}`,
    );
  return rdev;
}

/** Where a file's content lies in its layer's tar. */
function extentsOf({ sparse, dataOffset, dataSize, size }: Entry): Extent[] {
  if (sparse === undefined)
    return size === 0 ? [] : [{ logical: 0, device: 1, physical: dataOffset, length: dataSize }];
  let physical = dataOffset;
  const extents: Extent[] = [];
  for (const { offset, length } of sparse) {
    if (length > 0) extents.push({ logical: offset, device: 1, physical, length });
    physical += length;
  }
  return extents;
}
