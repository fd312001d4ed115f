import { MicaError } from '../../errors.ts';
import { NULL_ADDR } from '../format.ts';
import type { Extent, Node } from '../node.ts';
import { UNMAPPED_DEVICE } from '../node.ts';

export const BLOCK_BITS = 9;
export const BLOCK_SIZE = 512;

/**
 * A regular file's data as the format wants them: chunks of one size, a power of two of blocks,
 * each somewhere in a device or a hole.
 */
export interface ChunkMap {
  /** A chunk has `2 ** bits` blocks. */
  readonly bits: number;
  /** How many chunks. */
  readonly count: number;
  readonly runs: readonly Run[];
  /** Blocks that are copied into the index because nothing in a device has their content at a block's start. */
  readonly copied: number;
}

/** Blocks that lie one after the other in the file and in a device. */
export interface Run {
  /** First block in the file. */
  start: number;
  /** Number of blocks. */
  count: number;
  /** 0: copied into the index. {@link UNMAPPED_DEVICE}: nowhere, then it is the only run. */
  readonly device: number;
  /** First block in the device; of copied blocks, counted from the file's first copied block. */
  readonly block: number;
}

const MAX_BITS = 31;

/** The one extent of a file whose content lies in one piece at a block's start, as nearly all do. */
export function wholeFileExtent({ extents, size }: Node): Extent | undefined {
  if (!extents || extents.length !== 1) return undefined;
  const only = extents[0]!;
  const mapped = only.device >= 0 && only.device !== UNMAPPED_DEVICE;
  const whole = mapped && only.logical === 0 && only.length === size;
  return whole && isAligned(only) ? only : undefined;
}

/** The smallest chunk that holds a file of that size, in blocks, as a power of two. */
export function chunkBitsFor(size: number): number {
  let bits = 0;
  while (BLOCK_SIZE * 2 ** bits < size && bits < MAX_BITS) bits++;
  return bits;
}

/**
 * @param copy whether blocks may be copied into the index
 * @param limit how many chunks the file may have; a sparse file in more pieces is left unmapped
 */
export function chunkMapOf(node: Node, copy: boolean, limit: number): ChunkMap {
  const { extents = [], size } = node;
  checkExtents(extents, size);
  if (extents.some((extent) => extent.device === UNMAPPED_DEVICE)) return unmapped(size);
  const { runs, copied } = runsOf(extents, size);
  if (copied > 0 && !copy) return unmapped(size);
  const bits = Math.min(commonBits(runs, Math.ceil(size / BLOCK_SIZE)), chunkBitsFor(size));
  const count = Math.ceil(size / (BLOCK_SIZE * 2 ** bits));
  return count > limit ? unmapped(size) : { bits, count, runs, copied };
}

function unmapped(size: number): ChunkMap {
  const bits = chunkBitsFor(size);
  return {
    bits,
    count: Math.ceil(size / (BLOCK_SIZE * 2 ** bits)),
    runs: [{ start: 0, count: Math.ceil(size / BLOCK_SIZE), device: UNMAPPED_DEVICE, block: 0 }],
    copied: 0,
  };
}

const isAligned = (extent: Extent): boolean =>
  extent.physical % BLOCK_SIZE === 0 && checkAddress(extent);

function checkAddress({ physical }: Extent): boolean {
  if (physical / BLOCK_SIZE < NULL_ADDR) return true;
  throw new MicaError(
    'RESOURCE_EXHAUSTED',
    `write index: data at ${physical} lie beyond 2 TiB, which block addresses do not reach`,
  );
}

function checkExtents(extents: readonly Extent[], size: number): void {
  let end = 0;
  for (const { logical, length, physical } of extents) {
    if (logical < end || length <= 0 || logical + length > size || physical < 0)
      throw new MicaError(
        'INVALID_ARGUMENT',
        `write index: a run of ${length} bytes at ${logical} is out of order or outside of its file of ${size} bytes`,
      );
    end = logical + length;
  }
}

/** Splits extents into whole blocks that a device has, and blocks that must be copied. */
function runsOf(extents: readonly Extent[], size: number): { runs: Run[]; copied: number } {
  const runs: Run[] = [];
  let copied = 0;
  const copy = (from: number, end: number): void => {
    const last = runs.at(-1);
    const start = last ? Math.max(from, last.start + last.count) : from;
    if (start >= end) return;
    push(runs, { start, count: end - start, device: 0, block: copied });
    copied += end - start;
  };
  for (const extent of extents) {
    const end = extent.logical + extent.length;
    const first = Math.floor(extent.logical / BLOCK_SIZE);
    const last = Math.ceil(end / BLOCK_SIZE);
    if (extent.device < 0 || extent.logical % BLOCK_SIZE !== 0 || !isAligned(extent)) {
      copy(first, last);
      continue;
    }
    const full = end === size ? last : Math.floor(end / BLOCK_SIZE);
    const block = extent.physical / BLOCK_SIZE;
    if (full > first)
      push(runs, { start: first, count: full - first, device: extent.device, block });
    copy(full, last);
  }
  return { runs, copied };
}

function push(runs: Run[], run: Run): void {
  const last = runs.at(-1);
  if (
    last?.device === run.device &&
    last.start + last.count === run.start &&
    last.block + last.count === run.block
  )
    last.count += run.count;
  else runs.push(run);
}

/** The largest chunks whose borders all borders of runs are; the file's end needs none. */
function commonBits(runs: readonly Run[], blocks: number): number {
  let bits = MAX_BITS;
  for (const { start, count } of runs) {
    bits = Math.min(bits, trailingZeros(start));
    if (start + count !== blocks) bits = Math.min(bits, trailingZeros(start + count));
  }
  return bits;
}

function trailingZeros(value: number): number {
  const low = value >>> 0;
  if (low === 0) return MAX_BITS;
  return 31 - Math.clz32(low & -low);
}
