import { sliceBytes } from '../byte-string.ts';
import { type Item, ITEM, search, u64 } from './search.ts';

/** Files of a subvolume as its tree has them: by number, with the names that lead to them. */

/** The directory that a subvolume begins with. */
export const ROOT_DIRECTORY = 256;

export interface TouchedInode {
  readonly number: number;
  readonly isDirectory: boolean;
  readonly names: readonly InodeName[];
}

export interface InodeName {
  /** Number of the directory. */
  readonly directory: number;
  /** A byte string. */
  readonly name: string;
}

/** Of `struct btrfs_inode_item`. */
const INODE = { changed: 8, links: 40, mode: 52 } as const;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/**
 * The files and directories of subvolume `tree` that were changed after transaction `since`, in themselves or in their
 * names; a directory also when something in it came, went or was renamed. As far as it has reached
 * the disk.
 * @param fd - of anything on the file system
 */
export function* touchedInodes(fd: number, tree: number, since: number): Generator<TouchedInode> {
  let found: Found | undefined;
  for (const item of search(fd, { tree, since })) {
    if (item.objectid !== found?.number) {
      if (found !== undefined && found.links > 0) yield complete(fd, tree, found);
      found = undefined;
    }
    if (item.type === ITEM.inode && u64(item.data, INODE.changed) > since) found = inodeOf(item);
    else if (found !== undefined) found.names.push(...namesOf(item));
  }
  if (found !== undefined && found.links > 0) yield complete(fd, tree, found);
}

/** The names of a file, or of a directory its one name; none where the subvolume has no such file, and of the root. */
export function inodeNames(fd: number, tree: number, inode: number): InodeName[] {
  const from = { objectid: inode, type: ITEM.inodeRef, offset: 0 };
  const to = { objectid: inode, type: ITEM.inodeExtref, offset: Number.MAX_SAFE_INTEGER };
  return search(fd, { tree, from, to }).flatMap(namesOf).toArray();
}

interface Found extends TouchedInode {
  readonly links: number;
  readonly names: InodeName[];
}

const inodeOf = ({ objectid, data }: Item): Found => ({
  number: objectid,
  links: data.readUInt32LE(INODE.links),
  isDirectory: (data.readUInt32LE(INODE.mode) & S_IFMT) === S_IFDIR,
  names: [],
});

/** Names lie behind their inode, and may be in a block that is older. */
const complete = (
  fd: number,
  tree: number,
  { number, links, isDirectory, names }: Found,
): TouchedInode => ({
  number,
  isDirectory,
  names: names.length === links ? names : inodeNames(fd, tree, number),
});

/** @see struct btrfs_inode_ref, struct btrfs_inode_extref: several names may follow each other */
function namesOf({ objectid, type, offset, data }: Item): InodeName[] {
  const names: InodeName[] = [];
  if (type !== ITEM.inodeRef && type !== ITEM.inodeExtref) return names;
  // It has itself for its parent, as `..`.
  if (objectid === ROOT_DIRECTORY) return names;
  const isExtended = type === ITEM.inodeExtref;
  const header = isExtended ? 18 : 10;
  for (let at = 0; at < data.length;) {
    const end = at + header + data.readUInt16LE(at + header - 2);
    const directory = isExtended ? u64(data, at) : offset;
    names.push({ directory, name: sliceBytes(data, at + header, end) });
    at = end;
  }
  return names;
}
