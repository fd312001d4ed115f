import { MicaError } from '../errors.ts';
import type { BitReader } from './bit-reader.ts';

/** Longest code, in bits. */
const MAX = 15;
/** Codes up to this length are found with one look. */
const QUICK = 10;

/** The canonical Huffman code that a list of lengths stands for (RFC 1951, 3.2.2). */
export class Huffman {
  readonly lengths: Uint8Array;
  /** The code of each symbol, its bits reversed as they are written. */
  readonly codes: Uint16Array;
  /** By the next bits: symbol and length; 0 where the code is longer. */
  readonly #quick: Uint16Array = new Uint16Array(1 << QUICK);
  /** How many codes there are of each length, and all symbols in the order of their codes. */
  readonly #counts: Uint16Array = new Uint16Array(MAX + 1);
  readonly #symbols: Uint16Array;

  /** @throws DATA_LOSS when there are more codes than bits */
  constructor(lengths: Uint8Array) {
    this.lengths = lengths;
    this.codes = new Uint16Array(lengths.length);
    this.#symbols = new Uint16Array(lengths.length);
    for (const length of lengths) this.#counts[length]!++;
    this.#counts[0] = 0;
    const next = new Uint16Array(MAX + 2);
    const place = new Uint16Array(MAX + 2);
    let left = 1;
    for (let length = 1; length <= MAX; length++) {
      left = left * 2 - this.#counts[length]!;
      if (left < 0) throw new MicaError('DATA_LOSS', 'a Huffman code has too many symbols');
      next[length + 1] = (next[length]! + this.#counts[length]!) << 1;
      place[length + 1] = place[length]! + this.#counts[length]!;
    }
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      const length = lengths[symbol]!;
      if (length === 0) continue;
      const code = reversed(next[length]!++, length);
      this.codes[symbol] = code;
      this.#symbols[place[length]!++] = symbol;
      if (length > QUICK) continue;
      for (let bits = code; bits < this.#quick.length; bits += 1 << length)
        this.#quick[bits] = (symbol << 4) | length;
    }
  }

  /** Takes one symbol. @throws DATA_LOSS when no code begins like that */
  read(bits: BitReader): number {
    const seen = bits.peek();
    const quick = this.#quick[seen & ((1 << QUICK) - 1)]!;
    if (quick === 0) return this.#slowly(bits, seen);
    bits.skip(quick & 15);
    return quick >> 4;
  }

  #slowly(bits: BitReader, seen: number): number {
    let [code, first, index] = [0, 0, 0];
    for (let length = 1; length <= MAX; length++) {
      code |= (seen >>> (length - 1)) & 1;
      const count = this.#counts[length]!;
      if (code - first < count) {
        bits.skip(length);
        return this.#symbols[index + code - first]!;
      }
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new MicaError('DATA_LOSS', 'the deflate stream has a code that does not exist');
  }
}

function reversed(code: number, length: number): number {
  let result = 0;
  for (let bit = 0; bit < length; bit++) result |= ((code >> bit) & 1) << (length - 1 - bit);
  return result;
}
