import { MicaError } from '../errors.ts';
import type { Entry } from './entry.ts';
import { BLOCK } from './header.ts';
import { bad, parseDecimal, parseNumber } from './number.ts';

export type SparseMap = NonNullable<Entry['sparse']>;

/** A map being read: offset, length, offset, length … and the size of the file, holes included. */
export interface RawMap {
  readonly numbers: number[];
  readonly size: number;
}

/**
 * Runs of data in one file. A map of this length takes some 10 MB of memory; a real one has a few
 * thousand.
 */
const MAX_RUNS = 2 ** 17;

const tooLong = (): MicaError =>
  new MicaError('RESOURCE_EXHAUSTED', `tar: a sparse file of more than ${MAX_RUNS} runs of data`);

/** Adds a number to a map that may not become too long. */
export function addNumber(numbers: number[], value: number): void {
  if (value < 0) throw bad('a sparse map', 'has a negative number');
  if (numbers.length >= 2 * MAX_RUNS) throw tooLong();
  numbers.push(value);
}

/**
 * The map as runs: in order, without overlaps, within the file, and together exactly what is stored.
 * @see https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
 */
export function sparseMap({ numbers, size }: RawMap, dataSize: number): SparseMap {
  if (size < 0) throw bad('the size of a sparse file', 'is negative');
  if (numbers.length % 2 !== 0) throw bad('a sparse map', 'has an offset without a length');
  const runs: { offset: number; length: number }[] = [];
  let [end, stored] = [0, 0];
  for (let at = 0; at < numbers.length; at += 2) {
    const [offset, length] = [numbers[at]!, numbers[at + 1]!];
    if (offset < end || length > size - offset)
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
export class GnuMap implements RawMap {
  readonly numbers: number[] = [];
  readonly size: number;
  /** Another block of runs follows. */
  more: boolean;

  constructor(header: Buffer) {
    this.size = parseNumber(header, 483, 12, 'the size of a sparse file');
    this.more = header[482] !== 0;
    this.#read(header, 386, 4);
  }

  extend(block: Buffer): void {
    this.more = block[504] !== 0;
    this.#read(block, 0, 21);
  }

  #read(block: Buffer, offset: number, count: number): void {
    for (let at = offset; at < offset + count * 24; at += 24) {
      if (block[at] === 0) return;
      addNumber(this.numbers, parseNumber(block, at, 12, 'a sparse map'));
      addNumber(this.numbers, parseNumber(block, at + 12, 12, 'a sparse map'));
    }
  }
}

/**
 * Version 1.0: the map lies before the data, in whole blocks: decimal numbers, each with a newline;
 * first the count of runs.
 */
export class MapBeforeData {
  readonly numbers: number[] = [];
  /** That it takes in the archive, so far. */
  bytes = 0;
  #expected: number | undefined = undefined;
  #digits = '';

  get complete(): boolean {
    return this.numbers.length === this.#expected;
  }

  add(block: Buffer): void {
    this.bytes += BLOCK;
    const [first = '', ...more] = block.toString('latin1').split('\n');
    let line = this.#digits + first;
    for (const next of more) {
      if (!this.complete) this.#take(parseDecimal(line, 'a sparse map'));
      line = next;
    }
    if (line.length >= BLOCK) throw bad('a sparse map', 'is not a list of numbers');
    this.#digits = line;
  }

  #take(number: number): void {
    if (this.#expected !== undefined) addNumber(this.numbers, number);
    else if (number > MAX_RUNS) throw tooLong();
    else if (number < 0) throw bad('a sparse map', `has ${number} runs of data`);
    else this.#expected = 2 * number;
  }
}
