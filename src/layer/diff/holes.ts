import type { Pace } from '../../io/pace.ts';
import { nextData, pread } from '../../sys/file.ts';

/** A run of data in a file; between runs there are zeros. In bytes. */
export interface DataRun {
  readonly offset: number;
  readonly length: number;
}

/** Smaller files are written as they are. In bytes. */
const WORTH = 1 << 20;
/** Zeros count by the block, in bytes. The index of a layer and its readers know so many runs at most. */
const LEAST_BLOCK = 64 * 1024;
const MOST_BLOCKS = 2 ** 17;
/** Of a block, looked at first: data rarely begin with so many zeros. */
const PROBE = 64;

/**
 * The data of a file that has at least 1 MiB of zeros in blocks of 64 KiB (of files beyond 8 GiB,
 * larger ones); `undefined` of any other. This depends on the content alone: where a file system
 * keeps holes is its own affair, and another one does otherwise. Holes are only not read.
 */
export async function dataRuns(
  fd: number,
  size: number,
  path: string,
  pace: Pace,
): Promise<DataRun[] | undefined> {
  if (size < WORTH) return undefined;
  const block = blockFor(size);
  const runs: DataRun[] = [];
  let zeros = 0;
  let hole = new HoleFinder(fd, size);
  const buffer = Buffer.allocUnsafe(Math.min(block, LEAST_BLOCK));
  for (let offset = 0; offset < size; offset += block) {
    if (pace.due) await pace.rest();
    const length = Math.min(block, size - offset);
    if (hole.covers(offset, length) || isZero(fd, { offset, length }, buffer, path)) {
      zeros += length;
      continue;
    }
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === offset)
      runs[runs.length - 1] = { offset: last.offset, length: last.length + length };
    else runs.push({ offset, length });
  }
  return zeros >= WORTH ? runs : undefined;
}

function blockFor(size: number): number {
  let block = LEAST_BLOCK;
  while (size / block > MOST_BLOCKS) block *= 2;
  return block;
}

/** Asks the file system for holes; offsets may only grow. */
class HoleFinder {
  readonly #fd: number;
  readonly #size: number;
  /** The next data, as far as is known. */
  #data: { readonly start: number; readonly end: number } = { start: 0, end: 0 };

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.#size = size;
  }

  covers(offset: number, length: number): boolean {
    if (this.#data.end <= offset)
      this.#data = nextData(this.#fd, offset, this.#size) ?? { start: Infinity, end: Infinity };
    return offset + length <= this.#data.start;
  }
}

function isZero(fd: number, run: DataRun, buffer: Buffer, path: string): boolean {
  const probe = buffer.subarray(0, Math.min(PROBE, run.length));
  pread(fd, probe, run.offset, path);
  if (!probe.equals(ZEROS.subarray(0, probe.length))) return false;
  for (let at = 0; at < run.length; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, run.length - at));
    pread(fd, piece, run.offset + at, path);
    if (!piece.equals(ZEROS.subarray(0, piece.length))) return false;
  }
  return true;
}

const ZEROS = Buffer.alloc(LEAST_BLOCK);
