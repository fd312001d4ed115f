import { MicaError } from '../../errors.ts';
import * as F from '../format.ts';
import type { IndexDevice, Node } from '../node.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, UNMAPPED_DEVICE } from '../node.ts';
import type { ChunkMap } from './chunks.ts';
import { BLOCK_SIZE, chunkBitsFor, chunkMapOf, wholeFileExtent } from './chunks.ts';
import type { Collected } from './collect.ts';
import { collect } from './collect.ts';
import { headSize } from './superblock.ts';
import type { XattrSet } from './xattr-pool.ts';

/** Where everything of an image will be. All tables are by slot. */
export interface Layout extends Collected {
  /** Slots in the order of their offsets. */
  readonly order: Uint32Array;
  /** Of the inode, in bytes. */
  readonly offsets: Float64Array;
  /** Of the data: of a directory the size of its blocks, of a link the length of its target. */
  readonly sizes: Float64Array;
  /** Bytes of data behind the inode. */
  readonly tails: Uint16Array;
  /** First block of the data that are not behind the inode, for slots that have such. */
  readonly blocks: ReadonlyMap<number, number>;
  readonly xattrSets: readonly XattrSet[];
  /** Of a regular file with content, blocks in a chunk as a power of two; else {@link NOT_CHUNKED}. */
  readonly chunkBits: Uint8Array;
  /** Of a regular file whose content is not in one piece. */
  readonly chunks: ReadonlyMap<number, ChunkMap>;
  /** Of the shared xattrs, in bytes. */
  readonly sharedStart: number;
  /** First block behind the metadata. */
  readonly dataBlock: number;
  readonly totalBlocks: number;
  /** First block of each device in the common address space, which begins with the image; 0: it has no place there. */
  readonly deviceBlocks: readonly number[];
  /** Files whose data the index does not know. */
  readonly unmapped: number;
}

export const NOT_CHUNKED = 0xff;

export interface LayoutOptions {
  readonly devices: readonly IndexDevice[];
  /** Whether blocks may be copied into the index. */
  readonly copy: boolean;
}

/**
 * A file in one piece takes 64 bytes where its device is in the common address space, and 96 where
 * it needs a chunk that names its device. But there the kernel looks through all devices at each read,
 * and addresses have 32 bits.
 */
const MAX_COMMON_DEVICES = 16;
const MAX_COMMON_BLOCKS = 2 ** 31;

/** Sparse files in many pieces need many chunks: so many may all files have together, and more as the tars grow. */
const FREE_CHUNKS = 1 << 20;
const BYTES_PER_CHUNK = 4096;

export function layOut(root: Node, options: LayoutOptions): Layout {
  const placement = new Placement(collect(root), options);
  placement.placeInodes();
  placement.placeData();
  return placement.layout();
}

/** Gives each inode its offset, and the data that do not lie behind inodes their blocks. */
class Placement {
  readonly #collected: Collected;
  readonly #options: LayoutOptions;
  readonly #order: Uint32Array;
  readonly #offsets: Float64Array;
  readonly #sizes: Float64Array;
  readonly #tails: Uint16Array;
  /** How many blocks; from {@link placeData} on, the first one. */
  readonly #blocks = new Map<number, number>();
  readonly #xattrSets: XattrSet[] = [];
  readonly #chunkBits: Uint8Array;
  readonly #chunks = new Map<number, ChunkMap>();
  readonly #common: boolean;
  #placed = 0;
  #chunkLimit: number;
  #unmapped = 0;
  /** Chunks of unmapped files, the first of each not counted. */
  #unmappedChunks = 0;
  /** The first free byte. */
  #end: number;
  /** A slot whose tail would cross a block's border here; others go first. */
  #waiting = -1;
  #dataBlock = 0;
  #totalBlocks = 0;
  readonly #deviceBlocks: number[] = [];

  constructor(collected: Collected, options: LayoutOptions) {
    const length = collected.count;
    this.#collected = collected;
    this.#options = options;
    this.#order = new Uint32Array(length);
    this.#offsets = new Float64Array(length);
    this.#sizes = new Float64Array(length);
    this.#tails = new Uint16Array(length);
    this.#chunkBits = new Uint8Array(length).fill(NOT_CHUNKED);
    this.#end = headSize(options.devices.length);
    const bytes = options.devices.reduce((sum, { size }) => sum + size, 0);
    this.#common =
      options.devices.length <= MAX_COMMON_DEVICES && bytes / BLOCK_SIZE < MAX_COMMON_BLOCKS;
    this.#chunkLimit = FREE_CHUNKS + Math.ceil(bytes / BYTES_PER_CHUNK);
  }

  placeInodes(): void {
    const { nodes, count } = this.#collected;
    for (let slot = 0; slot < count; slot++) {
      this.#measure(slot, nodes[slot]!);
      if (slot === 0) this.#place(0, true);
      else if (this.#tails[slot] === 0 || this.#fits(slot, this.#next)) {
        this.#place(slot, false);
        this.#placeWaiting();
      } else {
        if (this.#waiting >= 0) this.#place(this.#waiting, true);
        this.#waiting = slot;
        this.#placeWaiting();
      }
    }
    if (this.#waiting >= 0) this.#place(this.#waiting, true);
    this.#end = align(this.#end, F.XATTR_ENTRY_SIZE);
  }

  placeData(): void {
    this.#dataBlock = Math.ceil((this.#end + this.#collected.xattrs.sharedSize) / BLOCK_SIZE);
    let block = this.#dataBlock;
    for (const [slot, count] of this.#blocks) {
      this.#blocks.set(slot, block);
      block += count;
    }
    this.#totalBlocks = block;
    for (const { size } of this.#options.devices) {
      this.#deviceBlocks.push(this.#common ? block : 0);
      if (this.#common) block += Math.ceil(size / BLOCK_SIZE);
    }
    if (block >= F.NULL_ADDR)
      throw new MicaError('RESOURCE_EXHAUSTED', 'write index: it would be larger than 2 TiB');
  }

  layout(): Layout {
    const { count, nodes, nlinks, names, parents, xattrs } = this.#collected;
    return {
      count,
      nodes,
      nlinks,
      names,
      parents,
      xattrs,
      order: this.#order,
      offsets: this.#offsets,
      sizes: this.#sizes,
      tails: this.#tails,
      blocks: this.#blocks,
      xattrSets: this.#xattrSets,
      chunkBits: this.#chunkBits,
      chunks: this.#chunks,
      sharedStart: this.#end,
      dataBlock: this.#dataBlock,
      totalBlocks: this.#totalBlocks,
      deviceBlocks: this.#deviceBlocks,
      unmapped: this.#unmapped,
    };
  }

  get #next(): number {
    return align(this.#end, 2 ** F.EROFS_SLOT_BITS);
  }

  #measure(slot: number, node: Node): void {
    const type = node.mode & S_IFMT;
    const xattrs = this.#collected.xattrs.setOf(node);
    const size = sizeOf(node, type, this.#collected.names[slot]);
    this.#xattrSets.push(xattrs);
    this.#sizes[slot] = size;
    if (type === S_IFREG && size > 0) this.#map(slot, node);
    if (type !== S_IFDIR && type !== S_IFLNK) return;
    const before = type === S_IFLNK ? F.INODE_EXTENDED_SIZE + xattrs.size : xattrs.size % 32;
    const tail = size % BLOCK_SIZE;
    if (before + tail <= BLOCK_SIZE) this.#tails[slot] = tail;
    const blocks = Math.ceil((size - this.#tails[slot]!) / BLOCK_SIZE);
    if (blocks > 0) this.#blocks.set(slot, blocks);
  }

  #map(slot: number, node: Node): void {
    const whole = wholeFileExtent(node);
    if (whole) {
      this.#checkDevice(whole.device);
      if (!this.#common) this.#chunkBits[slot] = chunkBitsFor(node.size);
      return;
    }
    const map = chunkMapOf(node, this.#options.copy, this.#chunkLimit);
    this.#chunkLimit -= map.count;
    for (const { device } of map.runs)
      if (device === UNMAPPED_DEVICE) this.#countUnmapped(map);
      else if (device !== 0) this.#checkDevice(device);
    this.#chunkBits[slot] = map.bits;
    this.#chunks.set(slot, map);
    if (map.copied > 0) this.#blocks.set(slot, map.copied);
  }

  /** Each has one chunk for 1 TiB: a few bytes of an archive can say that a file has 8 PiB. */
  #countUnmapped({ count }: ChunkMap): void {
    this.#unmapped++;
    this.#unmappedChunks += count - 1;
    if (this.#unmappedChunks > FREE_CHUNKS)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        'write index: its sparse files have more than 1 EiB together, too much for an index',
      );
  }

  #checkDevice(device: number): void {
    if (device < 1 || device > this.#options.devices.length)
      throw new MicaError('INVALID_ARGUMENT', `write index: there is no device ${device}`);
  }

  #placeWaiting(): void {
    if (this.#waiting < 0 || !this.#fits(this.#waiting, this.#next)) return;
    this.#place(this.#waiting, false);
    this.#waiting = -1;
  }

  /**
   * Whether the tail of an inode at `offset` lies in one block; of a link also in the block in which
   * the inode itself ends, for kernels before 6.12.
   */
  #fits(slot: number, offset: number): boolean {
    const xattrs = this.#xattrSets[slot]!.size;
    const tail = this.#tails[slot]!;
    const end = offset + F.INODE_EXTENDED_SIZE;
    if (this.#collected.names[slot]) return ((end + xattrs) % BLOCK_SIZE) + tail <= BLOCK_SIZE;
    return ((end - 1) % BLOCK_SIZE) + 1 + xattrs + tail <= BLOCK_SIZE;
  }

  #place(slot: number, anywhere: boolean): void {
    let offset = this.#next;
    if (anywhere) while (!this.#fits(slot, offset)) offset += 2 ** F.EROFS_SLOT_BITS;
    const end = offset + F.INODE_EXTENDED_SIZE + this.#xattrSets[slot]!.size;
    this.#offsets[slot] = offset;
    this.#order[this.#placed++] = slot;
    this.#end = end + this.#tails[slot]!;
    const bits = this.#chunkBits[slot]!;
    if (bits === NOT_CHUNKED) return;
    const chunks = Math.ceil(this.#sizes[slot]! / (BLOCK_SIZE * 2 ** bits));
    this.#end = align(end, F.CHUNK_INDEX_SIZE) + chunks * F.CHUNK_INDEX_SIZE;
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
    if (name.length === 0 || name.length > F.EROFS_NAME_LEN) throw badName(name);
    const size = F.DIRENT_SIZE + name.length;
    if (used + size > BLOCK_SIZE) {
      full += BLOCK_SIZE;
      used = 0;
    }
    used += size;
  }
  return full + used;
}

export function badName(name: string): MicaError {
  return new MicaError('INVALID_ARGUMENT', `write index: ${JSON.stringify(name)} is no file name`);
}

const align = (value: number, to: number): number => Math.ceil(value / to) * to;
