import { MicaError } from '../errors.ts';

/** Longest script that is kept, in bytes, before it is compressed itself: it is held in memory. */
export const SCRIPT_LIMIT: number = 64 * 1024 * 1024;

/** Numbers and bytes, one after the other, in a buffer that grows. */
export class ScriptWriter {
  #buffer: Buffer = Buffer.alloc(64 * 1024);
  #length = 0;
  readonly #limit: number;

  /** @param limit - in bytes */
  constructor(limit: number = SCRIPT_LIMIT) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  /** A whole number that is not negative: seven bits a byte, lowest first. */
  number(value: number): void {
    this.#reserve(8);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80))
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
    this.#buffer[this.#length++] = rest;
  }

  /** Bytes with their number before them. */
  bytes(bytes: Uint8Array): void {
    this.number(bytes.length);
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  end(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted > this.#limit)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        `what its encoder did differently takes more than ${this.#limit} bytes`,
      );
    if (wanted <= this.#buffer.length) return;
    const grown = Buffer.alloc(Math.max(wanted, 2 * this.#buffer.length));
    grown.set(this.end());
    this.#buffer = grown;
  }
}

/** Reads what a {@link ScriptWriter} wrote. @throws DATA_LOSS when there is no more */
export class ScriptReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  number(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined || unit > 2 ** 49) throw damaged();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  }

  bytes(): Uint8Array {
    const length = this.number();
    if (this.#at + length > this.#bytes.length) throw damaged();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

const damaged = (): MicaError => new MicaError('DATA_LOSS', 'the script of a recipe is damaged');

/**
 * What a script consists of: `BYTES` as they are (gzip's headers and trailers), blocks of a deflate
 * stream (`BLOCK`, flags, then what its kind needs), and how the last byte after the last block is
 * filled up (`PADDING`).
 */
export const STEP = { END: 0, BYTES: 1, BLOCK: 2, PADDING: 3 } as const;

/**
 * After a number of tokens that came as foretold: the end of the block, a literal or a match where
 * something else was.
 */
export const EVENT = { END: 0, LITERAL: 1, MATCH: 2 } as const;
