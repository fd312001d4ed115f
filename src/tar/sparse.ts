import type { Entry } from './entry.ts';
import { BLOCK } from './header.ts';
import { bad, parseDecimal, parseNumber } from './number.ts';
import { MAX_MAP } from './pax.ts';

export type SparseMap = NonNullable<Entry['sparse']>;

/**
 * Pairs of numbers as a map: in order, without overlaps, within the file, and together exactly what is stored.
 * @see https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
 */
export function sparseMap(numbers: readonly number[], size: number, dataSize: number): SparseMap {
  if (numbers.length % 2 !== 0) throw bad('a sparse map', 'has an offset without a length');
  const runs: { offset: number; length: number }[] = [];
  let [end, stored] = [0, 0];
  for (let at = 0; at < numbers.length; at += 2) {
    const [offset, length] = [numbers[at]!, numbers[at + 1]!];
    if (offset < end || length < 0 || length > size - offset)
      throw bad('a sparse map', 'overlaps, goes backwards or beyond the end of its file');
    end = offset + length;
    stored += length;
    if (length > 0) runs.push({ offset, length });
  }
  if (stored !== dataSize)
    throw bad('a sparse map', `covers ${stored} bytes, but ${dataSize} are stored`);
  return runs;
}

/** Old GNU headers: 4 runs in the header of a member, 21 in each block that may follow it. */
export class GnuMap {
  readonly numbers: number[] = [];
  /** Of the file as it will be read. */
  readonly size: number;
  /** Another block of runs follows. */
  more: boolean;

  constructor(block: Buffer, offset: number) {
    this.size = parseNumber(block, offset + 483, 12, 'the size of a sparse file');
    this.more = block[offset + 482] !== 0;
    this.#read(block, offset + 386, 4);
  }

  extend(block: Buffer, offset: number): void {
    this.#read(block, offset, 21);
    this.more = block[offset + 504] !== 0;
    if (this.numbers.length > MAX_MAP) throw bad('a sparse map', 'is too long');
  }

  #read(block: Buffer, offset: number, count: number): void {
    for (let at = offset; at < offset + count * 24; at += 24) {
      if (block[at] === 0) return;
      this.numbers.push(parseNumber(block, at, 12, 'a sparse map'));
      this.numbers.push(parseNumber(block, at + 12, 12, 'a sparse map'));
    }
  }
}

/** Version 1.0: the map lies before the data, decimal numbers a line each, the count of runs first, in whole blocks. */
export class MapBeforeData {
  readonly numbers: number[] = [];
  #expected: number | undefined = undefined;
  #text = '';
  #bytes = 0;

  /** Whole blocks that the map takes, so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get complete(): boolean {
    return this.#expected !== undefined && this.numbers.length >= this.#expected;
  }

  /** @param block - one block of the map */
  add(block: Buffer, offset: number): void {
    this.#bytes += BLOCK;
    if (this.#bytes > 2 ** 21) throw bad('a sparse map', 'is too long');
    const lines = (this.#text + block.toString('latin1', offset, offset + BLOCK)).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) if (!this.complete) this.#take(line);
    if (this.#text.length > 20 && !this.complete)
      throw bad('a sparse map', 'is not a list of numbers');
  }

  #take(line: string): void {
    const number = parseDecimal(line, 'a sparse map');
    if (number < 0) throw bad('a sparse map', 'has a negative number');
    if (this.#expected !== undefined) this.numbers.push(number);
    else if (number * 2 > MAX_MAP) throw bad('a sparse map', 'is too long');
    else this.#expected = number * 2;
  }
}
