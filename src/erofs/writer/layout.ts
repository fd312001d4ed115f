import { MicaError } from '../../errors.ts';
import type { ChunkMap } from './chunks.ts';
import { BLOCK_SIZE, chunkMapOf } from './chunks.ts';
import * as F from '../format.ts';
import type { IndexDevice, Node } from '../node.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, UNMAPPED_DEVICE } from '../node.ts';
import { headSize } from './superblock.ts';
import type { XattrSet } from './xattr-pool.ts';
import { XattrPool } from './xattr-pool.ts';

/** Where everything of an image will be. All tables are by {@link Node.slot}. */
export interface Layout {
  /** Inodes, each once: a directory, then its files, then its directories likewise. */
  readonly nodes: readonly Node[];
  /** Slots in the order of their offsets. */
  readonly order: readonly number[];
  /** Of the inode, in bytes. */
  readonly offsets: readonly number[];
  readonly nlinks: readonly number[];
  /** Slot of a directory's parent. */
  readonly parents: readonly number[];
  /** All names of a directory, `.` and `..` too, in byte order. */
  readonly names: readonly (readonly string[] | undefined)[];
  /** Of the data: of a directory the size of its blocks, of a link the length of its target. */
  readonly sizes: readonly number[];
  /** Bytes of data behind the inode. */
  readonly tails: readonly number[];
  /** First block of the data that are not behind the inode. */
  readonly blocks: readonly number[];
  readonly xattrs: readonly XattrSet[];
  readonly chunks: readonly (ChunkMap | undefined)[];
  readonly pool: XattrPool;
  /** Of the shared xattrs, in bytes. */
  readonly sharedStart: number;
  /** First block behind the metadata. */
  readonly dataBlock: number;
  readonly totalBlocks: number;
  /** Files whose data the index does not know. */
  readonly unmapped: number;
}

/** Sparse files in many pieces need many chunks: so many may all files have together, and more as the tars grow. */
const FREE_CHUNKS = 1 << 20;
const BYTES_PER_CHUNK = 4096;

export interface LayoutOptions {
  readonly devices: readonly IndexDevice[];
  /** Whether blocks may be copied into the index. */
  readonly copy: boolean;
}

export function layOut(root: Node, options: LayoutOptions): Layout {
  const collected = collect(root);
  return new Placement(collected, options).run();
}

interface Collected {
  readonly nodes: Node[];
  readonly nlinks: number[];
  readonly parents: number[];
  readonly names: (string[] | undefined)[];
  readonly pool: XattrPool;
}

/** Numbers the nodes in an order that depends on names only, and counts links. */
function collect(root: Node): Collected {
  const found: Collected = { nodes: [], nlinks: [], parents: [], names: [], pool: new XattrPool() };
  if (!root.children)
    throw new MicaError('INVALID_ARGUMENT', 'write index: the root is no directory');
  const waiting: Node[] = [root];
  const parents: number[] = [0];
  for (let directory = waiting.pop(); directory; directory = waiting.pop()) {
    const slot = number(found, directory);
    found.parents[slot] = parents.pop()!;
    const names = sortedNames(directory);
    found.names[slot] = names;
    let subdirectories = 0;
    // The last one put on the stack comes off first: from the back, so that they come in order.
    for (let i = names.length - 1; i >= 0; i--) {
      const child = directory.children!.get(names[i]!);
      if (!child?.children) continue;
      waiting.push(child);
      parents.push(slot);
      subdirectories++;
    }
    found.nlinks[slot] = 2 + subdirectories;
    for (const name of names) {
      const child = directory.children!.get(name);
      if (!child || child.children) continue;
      const known = found.nodes[child.slot] === child;
      const at = known ? child.slot : number(found, child);
      found.nlinks[at]! += 1;
    }
  }
  return found;
}

function number(found: Collected, node: Node): number {
  const slot = found.nodes.length;
  if (found.nodes[node.slot] === node)
    throw new MicaError('INVALID_ARGUMENT', 'write index: a directory has two names');
  node.slot = slot;
  found.nodes.push(node);
  found.nlinks.push(0);
  found.parents.push(0);
  found.names.push(undefined);
  found.pool.add(node);
  return slot;
}

function sortedNames({ children }: Node): string[] {
  const names = [...children!.keys()];
  for (const name of names)
    if (
      name.length > F.EROFS_NAME_LEN ||
      name.includes('/') ||
      name === '' ||
      name === '.' ||
      name === '..'
    )
      throw new MicaError(
        'INVALID_ARGUMENT',
        `write index: ${JSON.stringify(name)} is no file name`,
      );
  names.push('.', '..');
  return names.sort();
}

/** Gives each inode its offset, and the data that do not lie behind inodes their blocks. */
class Placement {
  readonly #collected: Collected;
  readonly #options: LayoutOptions;
  readonly #order: number[] = [];
  readonly #offsets: number[] = [];
  readonly #sizes: number[] = [];
  readonly #tails: number[] = [];
  readonly #blocks: number[] = [];
  readonly #xattrs: XattrSet[] = [];
  readonly #chunks: (ChunkMap | undefined)[] = [];
  #chunkLimit: number;
  #unmapped = 0;
  /** The first free byte. */
  #end: number;
  /** An inode whose tail would cross a block's border here; others go first. */
  #waiting = -1;

  constructor(collected: Collected, options: LayoutOptions) {
    this.#collected = collected;
    this.#options = options;
    const { devices } = options;
    this.#end = headSize(devices.length);
    const bytes = devices.reduce((sum, device) => sum + device.size, 0);
    this.#chunkLimit = FREE_CHUNKS + Math.ceil(bytes / BYTES_PER_CHUNK);
  }

  run(): Layout {
    const { nodes } = this.#collected;
    this.#measure(0);
    this.#place(0, true);
    for (let slot = 1; slot < nodes.length; slot++) this.#take(slot);
    if (this.#waiting >= 0) this.#place(this.#waiting, true);
    const sharedStart = this.#end;
    const dataBlock = Math.ceil((sharedStart + this.#collected.pool.sharedSize) / BLOCK_SIZE);
    const totalBlocks = this.#placeData(dataBlock);
    return {
      ...this.#collected,
      order: this.#order,
      offsets: this.#offsets,
      sizes: this.#sizes,
      tails: this.#tails,
      blocks: this.#blocks,
      xattrs: this.#xattrs,
      chunks: this.#chunks,
      sharedStart,
      dataBlock,
      totalBlocks,
      unmapped: this.#unmapped,
    };
  }

  #take(slot: number): void {
    this.#measure(slot);
    if (this.#tails[slot] === 0) {
      this.#place(slot, false);
      this.#placeWaiting();
    } else if (this.#fits(slot)) this.#place(slot, false);
    else {
      if (this.#waiting >= 0) this.#place(this.#waiting, true);
      this.#waiting = slot;
      this.#placeWaiting();
    }
  }

  #placeWaiting(): void {
    if (this.#waiting < 0 || !this.#fits(this.#waiting)) return;
    this.#place(this.#waiting, false);
    this.#waiting = -1;
  }

  #measure(slot: number): void {
    const node = this.#collected.nodes[slot]!;
    const type = node.mode & S_IFMT;
    const xattrs = this.#collected.pool.setOf(node);
    const size = sizeOf(node, type, this.#collected.names[slot]);
    const before = type === S_IFLNK ? F.INODE_EXTENDED_SIZE + xattrs.size : xattrs.size % 32;
    const flat = type === S_IFDIR || type === S_IFLNK;
    const tail = flat && before + (size % BLOCK_SIZE) <= BLOCK_SIZE ? size % BLOCK_SIZE : 0;
    const map = type === S_IFREG && size > 0 ? this.#map(node) : undefined;
    this.#xattrs.push(xattrs);
    this.#sizes.push(size);
    this.#tails.push(tail);
    this.#chunks.push(map);
    this.#offsets.push(0);
    this.#blocks.push(0);
  }

  #map(node: Node): ChunkMap {
    const map = chunkMapOf(node, this.#options.copy, this.#chunkLimit);
    this.#chunkLimit -= map.count > 1 ? map.count : 0;
    if (map.runs[0]?.device === UNMAPPED_DEVICE) this.#unmapped++;
    else
      for (const { device } of map.runs)
        if (device > this.#options.devices.length)
          throw new MicaError('INVALID_ARGUMENT', `write index: there is no device ${device}`);
    return map;
  }

  /**
   * A tail lies in one block; that of a link also in the block in which the inode itself ends, for
   * kernels before 6.12.
   */
  #fits(slot: number, offset: number = align(this.#end, 32)): boolean {
    const xattrs = this.#xattrs[slot]!.size;
    const tail = this.#tails[slot]!;
    const end = offset + F.INODE_EXTENDED_SIZE;
    if (this.#collected.names[slot]) return ((end + xattrs) % BLOCK_SIZE) + tail <= BLOCK_SIZE;
    return ((end - 1) % BLOCK_SIZE) + 1 + xattrs + tail <= BLOCK_SIZE;
  }

  #place(slot: number, anywhere: boolean): void {
    let offset = align(this.#end, 32);
    if (anywhere) while (!this.#fits(slot, offset)) offset += 32;
    const body = offset + F.INODE_EXTENDED_SIZE + this.#xattrs[slot]!.size;
    const map = this.#chunks[slot];
    this.#offsets[slot] = offset;
    this.#order.push(slot);
    this.#end = map
      ? align(body, F.CHUNK_INDEX_SIZE) + map.count * F.CHUNK_INDEX_SIZE
      : body + this.#tails[slot]!;
  }

  #placeData(first: number): number {
    let block = first;
    for (const slot of this.#order) {
      const map = this.#chunks[slot];
      const flat = (this.#sizes[slot]! - this.#tails[slot]!) / BLOCK_SIZE;
      const type = this.#collected.nodes[slot]!.mode & S_IFMT;
      const count = type === S_IFREG ? (map?.copied ?? 0) : Math.ceil(flat);
      if (count > 0) this.#blocks[slot] = block;
      block += count;
    }
    if (block >= F.NULL_ADDR)
      throw new MicaError('RESOURCE_EXHAUSTED', 'write index: it would be larger than 2 TiB');
    return block;
  }
}

function sizeOf(node: Node, type: number, names: readonly string[] | undefined): number {
  if (names) return directorySize(names);
  if (type === S_IFREG) return node.size;
  if (type !== S_IFLNK) return 0;
  const length = node.target?.length ?? 0;
  if (length > 0 && length <= F.EROFS_SYMLINK_MAX) return length;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `write index: a symbolic link's target has 1 to ${F.EROFS_SYMLINK_MAX} bytes, not ${length}`,
  );
}

function directorySize(names: readonly string[]): number {
  let full = 0;
  let used = 0;
  for (const name of names) {
    const size = F.DIRENT_SIZE + name.length;
    if (used + size > BLOCK_SIZE) {
      full += BLOCK_SIZE;
      used = 0;
    }
    used += size;
  }
  return full + used;
}

const align = (value: number, to: number): number => Math.ceil(value / to) * to;
