import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Index } from '../erofs/index-file.ts';
import type { Extent, Node } from '../erofs/node.ts';
import { majorOf, minorOf, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../erofs/node.ts';
import { allXattrs } from '../sys/xattr.ts';

/** Everything that can be seen of a file, to hold one tree against another. */
export interface Listed {
  /** Byte string, `/`-separated, '' is the root. */
  readonly path: string;
  readonly mode: string;
  readonly owner: string;
  /** In bytes; 0 for directories, whose size is their file system's affair. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  readonly nlink: number;
  readonly device: string;
  readonly target: string | undefined;
  readonly xattrs: Readonly<Record<string, string>>;
  /** Digest of the content of a regular file. */
  readonly content: string | undefined;
  /** The first path that is the same inode. */
  readonly inode: string;
}

/** Reads `length` bytes of a device. */
export type DeviceReader = (device: number, physical: number, length: number) => Uint8Array;

interface Facts extends Omit<Listed, 'path' | 'inode' | 'mode' | 'owner' | 'device'> {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly major: number;
  readonly minor: number;
  /** Equal for names of one inode. */
  readonly identity: unknown;
}

class Listing {
  readonly #files: Listed[] = [];
  readonly #first = new Map<unknown, string>();

  add(path: string, facts: Facts): void {
    const { identity, mode, uid, gid, major, minor, ...rest } = facts;
    if (!this.#first.has(identity)) this.#first.set(identity, path);
    this.#files.push({
      path,
      mode: `0${mode.toString(8)}`,
      owner: `${uid}:${gid}`,
      device: `${major}:${minor}`,
      inode: this.#first.get(identity)!,
      ...rest,
    });
  }

  files(): Listed[] {
    return this.#files;
  }
}

const hashOf = (chunks: Iterable<Uint8Array>): string => {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
};

const hexOf = (xattrs: Iterable<{ name: string; value: Uint8Array }>): Record<string, string> =>
  Object.fromEntries(
    [...xattrs]
      .map(({ name, value }): [string, string] => [name, Buffer.from(value).toString('hex')])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

const ns = (seconds: number, nanoseconds: number): bigint =>
  BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);

/** A directory as the kernel shows it. */
export function listDirectory(root: string): Listed[] {
  const listing = new Listing();
  const visit = (place: KernelPlace, relative: string): void => {
    const { path, type, facts } = factsOf(place);
    listing.add(relative, facts);
    if (type !== S_IFDIR) return;
    const dirfd = openSync(path, 'r');
    try {
      const names = readdirSync(path, { encoding: 'buffer' }).map((name) =>
        name.toString('latin1'),
      );
      for (const name of names.sort())
        visit({ directory: path, dirfd, name }, `${relative}/${name}`);
    } finally {
      closeSync(dirfd);
    }
  };
  const parent = openSync(dirname(root), 'r');
  try {
    const directory = Buffer.from(dirname(root));
    visit({ directory, dirfd: parent, name: Buffer.from(basename(root)).toString('latin1') }, '');
  } finally {
    closeSync(parent);
  }
  return listing.files();
}

interface KernelPlace {
  readonly directory: Buffer;
  readonly dirfd: number;
  readonly name: string;
}

function factsOf({ directory, dirfd, name }: KernelPlace): {
  path: Buffer;
  type: number;
  facts: Facts;
} {
  const path = Buffer.concat([directory, Buffer.from(`/${name}`, 'latin1')]);
  const stat = lstatSync(path, { bigint: true });
  const mode = Number(stat.mode);
  const type = mode & S_IFMT;
  const facts: Facts = {
    mode,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: type === S_IFDIR ? 0 : Number(stat.size),
    mtime: stat.mtimeNs,
    nlink: Number(stat.nlink),
    major: Number((stat.rdev >> 8n) & 0xfffn),
    minor: Number((stat.rdev & 0xffn) | ((stat.rdev >> 12n) & 0xfff00n)),
    target:
      type === S_IFLNK ? readlinkSync(path, { encoding: 'buffer' }).toString('latin1') : undefined,
    xattrs: hexOf(allXattrs({ dirfd, name })),
    content: type === S_IFREG ? hashOf([readFileSync(path)]) : undefined,
    identity: stat.ino,
  };
  return { path, type, facts };
}

/** A directory as our reader shows it in an index. */
export function listIndex(index: Index, read: DeviceReader): Listed[] {
  const listing = new Listing();
  const readAny: DeviceReader = (device, physical, length) => {
    if (device !== 0) return read(device, physical, length);
    const bytes = new Uint8Array(length);
    index.read(physical, bytes);
    return bytes;
  };
  const visit = (nid: number, path: string): void => {
    const inode = index.stat(nid);
    const type = inode.mode & S_IFMT;
    listing.add(path, {
      mode: inode.mode,
      uid: inode.uid,
      gid: inode.gid,
      size: type === S_IFDIR ? 0 : inode.size,
      mtime: ns(inode.mtime, inode.mtimeNs),
      nlink: inode.nlink,
      major: majorOf(inode.rdev),
      minor: minorOf(inode.rdev),
      target: type === S_IFLNK ? index.readlink(nid) : undefined,
      xattrs: hexOf(index.xattrs(nid)),
      content:
        type === S_IFREG ? hashOf(content(inode.size, index.extents(nid), readAny)) : undefined,
      identity: nid,
    });
    if (type !== S_IFDIR) return;
    for (const entry of index.readdir(nid)) visit(entry.nid, `${path}/${entry.name}`);
  };
  visit(index.root, '');
  return listing.files();
}

/** A directory as it was given to the writer: the model. */
export function listNodes(root: Node, read: DeviceReader): Listed[] {
  const links = new Map<Node, number>();
  const count = (node: Node): void => {
    links.set(node, (links.get(node) ?? 0) + 1);
    for (const child of node.children?.values() ?? []) count(child);
  };
  count(root);
  const listing = new Listing();
  const visit = (node: Node, path: string): void => {
    const type = node.mode & S_IFMT;
    const children = [...(node.children ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    listing.add(path, {
      mode: node.mode,
      uid: node.uid,
      gid: node.gid,
      size: type === S_IFREG ? node.size : (node.target?.length ?? 0),
      mtime: ns(node.mtime, node.mtimeNs),
      nlink: node.children
        ? 2 + children.filter(([, child]) => child.children).length
        : links.get(node)!,
      major: majorOf(node.rdev),
      minor: minorOf(node.rdev),
      target: node.target,
      xattrs: hexOf(node.xattrs ?? []),
      content: type === S_IFREG ? hashOf(content(node.size, node.extents ?? [], read)) : undefined,
      identity: node,
    });
    for (const [name, child] of children) visit(child, `${path}/${name}`);
  };
  visit(root, '');
  return listing.files();
}

function* content(
  size: number,
  extents: readonly Extent[],
  read: DeviceReader,
): Generator<Uint8Array> {
  let at = 0;
  for (const { logical, length, device, physical } of extents) {
    yield* zeros(logical - at);
    yield read(device, physical, length);
    at = logical + length;
  }
  yield* zeros(size - at);
}

const ZEROS = new Uint8Array(1 << 20);

function* zeros(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}
