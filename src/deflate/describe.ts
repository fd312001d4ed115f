import { MicaError } from '../errors.ts';
import { BitReader, type Fill } from './bit-reader.ts';
import { BitWriter } from './bit-writer.ts';
import { type Codes, fixedCodes, readCodes } from './codes.ts';
import { readHeader, readTrailer } from './gzip.ts';
import type { Model } from './model.ts';
import { Plain, type ReadInto, WINDOW } from './plain.ts';
import { openPredictor } from './open-predictor.ts';
import type { Predictor } from './predictor.ts';
import { EVENT, ScriptWriter, STEP } from './script.ts';
import {
  DISTANCE_BASE,
  DISTANCE_BITS,
  END_OF_BLOCK,
  LENGTH_BASE,
  LENGTH_BITS,
  MAX_MATCH,
} from './symbols.ts';

export interface DescribeOptions {
  /** Of the script, in bytes. */
  readonly limit?: number;
  /** Describe only what these many bytes of data became. Default: everything. */
  readonly upTo?: number;
}

/**
 * Writes down what a gzip file says beyond its data and the model of its encoder: from both, and
 * this script, `recreate` makes the same file again.
 *
 * @param stored - the bytes of the file
 * @param data - what they inflate to
 * @throws DATA_LOSS when they do not · RESOURCE_EXHAUSTED when the script is over its limit
 */
export function describe(
  stored: Fill,
  data: ReadInto,
  model: Model,
  options: DescribeOptions = {},
): Buffer {
  const description = new Description(stored, data, model, options);
  description.members();
  return description.script.end();
}

class Description {
  readonly script: ScriptWriter;
  readonly #bits: BitReader;
  readonly #plain: Plain;
  readonly #predictor: Predictor;
  readonly #upTo: number;
  /** Where the next token's data are in the window. */
  #at = 0;

  constructor(stored: Fill, data: ReadInto, model: Model, options: DescribeOptions) {
    this.script = new ScriptWriter(options.limit);
    this.#bits = new BitReader(stored);
    this.#plain = new Plain(data);
    this.#predictor = openPredictor(this.#plain, model);
    this.#upTo = options.upTo ?? Infinity;
  }

  members(): void {
    for (;;) {
      const { bytes, more } = readHeader(this.#bits);
      this.#raw(bytes);
      if (!more) break;
      while (!this.#block());
      this.script.number(STEP.PADDING);
      this.script.number(this.#bits.align());
      if (this.#isEnough()) break;
      this.#raw(readTrailer(this.#bits));
    }
    this.script.number(STEP.END);
    if (!this.#isEnough() && (this.#plain.isShort(this.#at) || this.#at < this.#plain.end))
      throw mismatch();
  }

  #isEnough(): boolean {
    return this.#plain.gone + this.#at >= this.#upTo;
  }

  #raw(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.script.number(STEP.BYTES);
    this.script.bytes(bytes);
  }

  /** @returns whether it was the last, or there is enough */
  #block(): boolean {
    const bits = this.#bits;
    const isFinal = bits.take(1) === 1;
    const kind = bits.take(2);
    this.script.number(STEP.BLOCK);
    this.script.number((kind << 1) | (isFinal ? 1 : 0));
    if (kind === 0) this.#stored();
    else if (kind === 1) this.#tokens(fixedCodes());
    else if (kind === 2) this.#tokens(this.#table());
    else throw new MicaError('DATA_LOSS', 'a block of the deflate stream is of no known kind');
    return isFinal || this.#isEnough();
  }

  #stored(): void {
    const bits = this.#bits;
    this.script.number(bits.align());
    const length = bits.take(16);
    if (bits.take(16) !== (length ^ 0xffff))
      throw new MicaError('DATA_LOSS', 'a stored block of the deflate stream is damaged');
    this.script.number(length);
    for (let left = length; left > 0; left--) {
      if (bits.byte() === undefined) throw mismatch();
    }
    this.#pass(length);
  }

  /** Data whose tokens nobody knows. */
  #pass(length: number): void {
    for (let left = length; left > 0;) {
      this.#look();
      const piece = Math.min(left, WINDOW, this.#plain.end - this.#at);
      if (piece === 0) throw mismatch();
      this.#predictor.pass(this.#at, piece);
      this.#at += piece;
      left -= piece;
    }
  }

  /** The table as it is written: it has few bytes, and may be written in many ways. */
  #table(): Codes {
    const parts: Uint8Array[] = [];
    let width = 0;
    const copy = new BitWriter((bytes) => parts.push(Uint8Array.from(bytes)));
    this.#bits.copy = copy;
    const codes = readCodes(this.#bits);
    this.#bits.copy = undefined;
    width = copy.odd;
    copy.flush();
    this.script.number(width);
    this.script.bytes(Buffer.concat(parts));
    return codes;
  }

  #tokens({ literals, distances }: Codes): void {
    const [bits, plain, predictor, script] = [
      this.#bits,
      this.#plain,
      this.#predictor,
      this.script,
    ];
    let right = 0;
    for (;;) {
      if (plain.isShort(this.#at)) this.#look();
      const symbol = literals.read(bits);
      if (symbol === END_OF_BLOCK) break;
      let [length, distance] = [0, 0];
      if (symbol > END_OF_BLOCK) {
        length = takeLength(bits, symbol - 257);
        distance = takeDistance(bits, distances.read(bits));
      }
      const size = length || 1;
      if (this.#at + size > plain.end || distance > this.#at) throw mismatch();
      const foretold = predictor.predict(this.#at);
      if (foretold === length && (length === 0 || predictor.distance === distance)) right++;
      else {
        script.number(right);
        right = 0;
        if (length === 0) script.number(EVENT.LITERAL);
        else {
          script.number(EVENT.MATCH);
          script.number(length);
          script.number(distance);
        }
      }
      predictor.advance(this.#at, size);
      this.#at += size;
    }
    script.number(right);
    script.number(EVENT.END);
  }

  #look(): void {
    const shift = this.#plain.isShort(this.#at) ? this.#plain.move(this.#at) : 0;
    this.#predictor.move(shift);
    this.#at -= shift;
  }
}

function takeLength(bits: BitReader, code: number): number {
  const base = LENGTH_BASE[code];
  if (base === undefined) throw mismatch();
  const length = base + bits.take(LENGTH_BITS[code]!);
  if (length === MAX_MATCH && code !== LENGTH_BASE.length - 1)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      'its encoder writes matches of 258 bytes in another way',
    );
  return length;
}

function takeDistance(bits: BitReader, code: number): number {
  const base = DISTANCE_BASE[code];
  if (base === undefined) throw mismatch();
  return base + bits.take(DISTANCE_BITS[code]!);
}

const mismatch = (): MicaError =>
  new MicaError('DATA_LOSS', 'the gzip file and the data are not of each other');
