import { MicaError } from '../../errors.ts';
import * as F from '../format.ts';
import type { DiskInode } from './inode.ts';
import { damaged } from './inode.ts';
import type { Extent } from '../node.ts';
import { UNMAPPED_DEVICE } from '../node.ts';
import type { ImageBytes } from './pages.ts';
import type { Place, Superblock } from './superblock.ts';

export interface Image {
  readonly bytes: ImageBytes;
  readonly superblock: Superblock;
}

/** Where flat data lie in the image: whole blocks, and a tail behind the inode. */
export interface FlatParts {
  /** First byte of the blocks; -1: they are a hole. */
  readonly start: number;
  /** How many bytes are in blocks. The rest begins at {@link tail}. */
  readonly inBlocks: number;
  readonly tail: number;
}

export function flatParts(inode: DiskInode, blockSize: number): FlatParts {
  const inline = inode.layout === F.INODE_FLAT_INLINE;
  const blocks = Math.ceil(inode.size / blockSize);
  return {
    start: inode.startBlock < 0 ? -1 : inode.startBlock * blockSize,
    inBlocks: inline ? Math.max(0, blocks - 1) * blockSize : inode.size,
    tail: inode.end + inode.xattrSize,
  };
}

/** Content of a regular file; neighbours are joined, holes left out. */
export function readExtents(image: Image, inode: DiskInode): Extent[] {
  if (inode.size === 0) return [];
  if (inode.layout === F.INODE_CHUNK_BASED) return chunkExtents(image, inode);
  refuseCompressed(inode);
  const runs = new Runs(image, inode);
  const { start, inBlocks, tail } = flatParts(inode, 2 ** image.superblock.blockBits);
  if (start >= 0 && inBlocks > 0) runs.add(0, 0, start, inBlocks);
  if (inBlocks < inode.size) runs.addRaw(inBlocks, 0, tail, inode.size - inBlocks);
  return runs.extents;
}

export function refuseCompressed(inode: DiskInode): void {
  if (inode.layout === F.INODE_FLAT_PLAIN || inode.layout === F.INODE_FLAT_INLINE) return;
  const { nid, layout } = inode;
  if (layout === F.INODE_COMPRESSED_FULL || layout === F.INODE_COMPRESSED_COMPACT)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `read inode ${nid}: its data are compressed, which this reader does not undo; mount the image, or make it without -z`,
    );
  throw new MicaError('NOT_IMPLEMENTED', `read inode ${nid}: its data are of layout ${layout}`);
}

function chunkExtents(image: Image, inode: DiskInode): Extent[] {
  const { bytes, superblock } = image;
  const { chunkFormat } = inode;
  if (chunkFormat & ~F.CHUNK_FORMAT_ALL)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `read inode ${inode.nid}: chunk format 0x${chunkFormat.toString(16)}`,
    );
  const indexed = (chunkFormat & F.CHUNK_FORMAT_INDEXES) !== 0;
  const unit = indexed ? F.CHUNK_INDEX_SIZE : F.BLOCK_MAP_ENTRY_SIZE;
  const chunkSize = 2 ** (superblock.blockBits + (chunkFormat & F.CHUNK_FORMAT_BLKBITS_MASK));
  const chunks = Math.ceil(inode.size / chunkSize);
  const table = Math.ceil((inode.end + inode.xattrSize) / unit) * unit;
  if (table + chunks * unit > bytes.size)
    throw damaged(inode.nid, `a table of ${chunks} chunks, more than the index holds`);
  const runs = new Runs(image, inode);
  const wide = (chunkFormat & F.CHUNK_FORMAT_48BIT) !== 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const at = bytes.locate(table + chunk * unit, unit);
    const low = bytes.buffer.readUInt32LE(indexed ? at + 4 : at);
    const high = indexed && wide ? bytes.buffer.readUInt16LE(at) : 0;
    const device = indexed ? bytes.buffer.readUInt16LE(at + 2) : 0;
    if (low === F.NULL_ADDR && (!wide || high === 0xffff)) refuseUnmapped(inode, device);
    else runs.addBlocks(chunk * chunkSize, device, high * 2 ** 32 + low, chunkSize);
  }
  return runs.extents;
}

function refuseUnmapped(inode: DiskInode, device: number): void {
  if (device === UNMAPPED_DEVICE)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `read inode ${inode.nid}: the index does not know where its data are; read them from the unpacked layer`,
    );
}

/** Collects extents, cut to the file's size and checked against the devices. */
class Runs {
  readonly extents: Extent[] = [];
  readonly #image: Image;
  readonly #inode: DiskInode;
  readonly #blockSize: number;
  /** Device numbers are masked to as many bits as the number of devices needs. */
  readonly #mask: number;

  constructor(image: Image, inode: DiskInode) {
    this.#image = image;
    this.#inode = inode;
    this.#blockSize = 2 ** image.superblock.blockBits;
    const { length } = image.superblock.devices;
    this.#mask = length === 0 ? 0 : 2 ** Math.ceil(Math.log2(length + 1)) - 1;
  }

  addBlocks(logical: number, device: number, block: number, length: number): void {
    const size = Math.min(length, this.#inode.size - logical);
    this.add(logical, device & this.#mask, block * this.#blockSize, size);
  }

  /** Device 0 means the common address space, in which other devices may have their place. */
  add(logical: number, device: number, physical: number, length: number): void {
    if (device !== 0) return this.addRaw(logical, device, physical, length);
    const place = placeOf(this.#image.superblock.places, physical / this.#blockSize);
    const offset = place ? place.start * this.#blockSize : 0;
    this.addRaw(logical, place?.device ?? 0, physical - offset, length);
  }

  addRaw(logical: number, device: number, physical: number, length: number): void {
    const { superblock, bytes } = this.#image;
    const size = device === 0 ? bytes.size : superblock.devices[device - 1]?.size;
    if (size === undefined)
      throw damaged(this.#inode.nid, `data in device ${device}, which is not in its table`);
    if (physical + length > size && size !== 0)
      throw damaged(
        this.#inode.nid,
        `data at ${physical} of device ${device}, which has ${size} bytes`,
      );
    const last = this.extents.at(-1);
    if (
      last &&
      last.device === device &&
      last.logical + last.length === logical &&
      last.physical + last.length === physical
    )
      this.extents[this.extents.length - 1] = { ...last, length: last.length + length };
    else this.extents.push({ logical, device, physical, length });
  }
}

/** The device in whose place `block` of the common address space is; `undefined`: the image itself. */
function placeOf(places: readonly Place[], block: number): Place | undefined {
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle]!.start <= block) low = middle + 1;
    else high = middle;
  }
  const place = places[low - 1];
  return place && block < place.start + place.length ? place : undefined;
}
