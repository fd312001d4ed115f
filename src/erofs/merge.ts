import { MicaError } from '../errors.ts';
import type { Index, Inode } from './index-file.ts';
import { isMadeUp, isMark } from './index-file.ts';
import type { Extent, IndexDevice, Xattr } from './node.ts';
import { Node, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './node.ts';
import type { StackNode, StackPart } from './stack.ts';
import { openStack } from './stack.ts';
import type { ReadDevice } from './writer/data.ts';

/** What `writeIndex` needs to make one index of several. Holds only while these are open. */
export interface Merged {
  readonly root: Node;
  /** Those tars of the layers that something is left of, each once, in the order in which a walk meets them. */
  readonly devices: readonly IndexDevice[];
  /** Reads what lies in the layers' indexes themselves. */
  readonly read: ReadDevice;
}

export interface MergeLimits {
  readonly files: number;
  /** Of names, link targets, xattrs (each once) and extents together. */
  readonly bytes: number;
}

/** As much as a single layer may have, so that whatever the layers are, memory suffices. */
const LIMITS: MergeLimits = { files: 2_000_000, bytes: 256 * 2 ** 20 };
const EXTENT_BYTES = 32;

/**
 * The tree that {@link openStack} shows, without anything that tells of layers: no whiteouts, no
 * marks of overlayfs. The root is what the nearest layer says that describes it.
 *
 * @param indexes base layer first
 * @throws FAILED_PRECONDITION when an index does not know where a file's data are or what its devices
 *   are called, RESOURCE_EXHAUSTED when there is too much for one index, DATA_LOSS when an index is damaged
 */
export function mergeIndexes(indexes: readonly Index[], limits: MergeLimits = LIMITS): Merged {
  const stack = openStack(indexes);
  const merging = new Merging(indexes, limits);
  const root = stack.root ? merging.root(stack.root) : new Node(S_IFDIR | 0o755);
  const waiting: (readonly [StackNode, Node])[] = stack.root ? [[stack.root, root]] : [];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [from, into] = next;
    for (const { name, node: found } of stack.readdir(from)) {
      const node = merging.node(found);
      merging.count(name.length);
      into.children!.set(name, node);
      if (node.children) waiting.push([found, node]);
    }
  }
  return { root, devices: merging.devices, read: merging.read };
}

class Merging {
  readonly devices: IndexDevice[] = [];
  readonly #indexes: readonly Index[];
  readonly #numbers = new Map<string, number>();
  /** By layer and inode number: hard links of a layer stay one inode. */
  readonly #files: readonly Map<number, Node>[];
  readonly #xattrs = new Map<string, Xattr>();
  /** Of each layer's index, bytes that may still be copied: what it has, it has once. */
  readonly #copies: number[];
  readonly #limits: MergeLimits;
  #names = 0;
  #bytes = 0;

  constructor(indexes: readonly Index[], limits: MergeLimits) {
    this.#limits = limits;
    this.#indexes = indexes;
    this.#files = indexes.map(() => new Map<number, Node>());
    this.#copies = indexes.map(({ size }) => size);
  }

  readonly read: ReadDevice = (device, physical, into) => {
    this.#indexes[-1 - device]!.read(physical, into);
  };

  root({ parts }: StackNode): Node {
    const describes = ({ layer, inode }: StackPart): boolean =>
      !isMadeUp(this.#indexes[layer]!, inode);
    const { layer, inode } = parts.find(describes) ?? parts[0]!;
    return this.#make(layer, inode);
  }

  node({ layer, inode }: StackNode): Node {
    if ((inode.mode & S_IFMT) === S_IFDIR) return this.#make(layer, inode);
    const files = this.#files[layer]!;
    let node = files.get(inode.nid);
    if (!node) files.set(inode.nid, (node = this.#make(layer, inode)));
    return node;
  }

  /** One more name, of so many bytes. */
  count(bytes: number): void {
    if (++this.#names > this.#limits.files) throw tooMuch(`${this.#names} names`);
    this.#take(bytes);
  }

  #make(layer: number, inode: Inode): Node {
    const index = this.#indexes[layer]!;
    const type = inode.mode & S_IFMT;
    const node = new Node(inode.mode);
    node.uid = inode.uid;
    node.gid = inode.gid;
    node.mtime = inode.mtime;
    node.mtimeNs = inode.mtimeNs;
    node.rdev = inode.rdev;
    if (type === S_IFLNK) {
      node.target = index.readlink(inode.nid);
      this.#take(node.target.length);
    }
    if (type === S_IFREG && inode.size > 0) {
      node.size = inode.size;
      node.extents = this.#extents(layer, inode.nid);
    }
    if (inode.hasXattrs) node.xattrs = this.#xattrsOf(index, inode.nid);
    return node;
  }

  #extents(layer: number, nid: number): Extent[] {
    const extents = this.#indexes[layer]!.extents(nid);
    this.#take(EXTENT_BYTES * extents.length);
    return extents.map(({ logical, device, physical, length }) => ({
      logical,
      device: device === 0 ? this.#copy(layer, length) : this.#device(layer, device),
      physical,
      length,
    }));
  }

  #copy(layer: number, bytes: number): number {
    if ((this.#copies[layer]! -= bytes) >= 0) return -1 - layer;
    throw new MicaError(
      'DATA_LOSS',
      `merge indexes: files of layer ${layer} share data that lie in its index; the index is damaged`,
    );
  }

  #device(layer: number, number: number): number {
    const device = this.#indexes[layer]!.devices[number - 1]!;
    const known = this.#numbers.get(device.tag);
    if (known === undefined) return this.#addDevice(layer, device);
    if (this.devices[known - 1]!.size === device.size) return known;
    throw new MicaError(
      'DATA_LOSS',
      `merge indexes: tar ${device.tag} has ${device.size} bytes in layer ${layer}, elsewhere ${this.devices[known - 1]!.size}; one of the indexes is damaged`,
    );
  }

  #addDevice(layer: number, device: IndexDevice): number {
    if (device.tag === '')
      throw new MicaError(
        'FAILED_PRECONDITION',
        `merge indexes: a device of layer ${layer} has no tag, so nobody knows which tar it is`,
      );
    this.devices.push(device);
    this.#numbers.set(device.tag, this.devices.length);
    return this.devices.length;
  }

  #xattrsOf(index: Index, nid: number): Xattr[] | undefined {
    const xattrs = index.xattrs(nid).filter(({ name }) => !isMark(name));
    return xattrs.length === 0 ? undefined : xattrs.map((xattr) => this.#once(xattr));
  }

  #once(xattr: Xattr): Xattr {
    const { name, value } = xattr;
    const key = `${name}\0${Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1')}`;
    const known = this.#xattrs.get(key);
    if (known) return known;
    this.#take(key.length);
    this.#xattrs.set(key, xattr);
    return xattr;
  }

  #take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.bytes)
      throw tooMuch(`${this.#bytes} bytes of names, links, xattrs and extents`);
  }
}

const tooMuch = (what: string): MicaError =>
  new MicaError(
    'RESOURCE_EXHAUSTED',
    `merge indexes: they have ${what} and more, too many for one; stack the layers instead`,
  );
