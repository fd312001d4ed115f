import { MicaError } from '../errors.ts';
import type { BitWriter } from './bit-writer.ts';

/** The next bytes of the input, which stay valid until it is called again; `undefined` at the end. */
export type Fill = () => Uint8Array | undefined;

/** Reads a deflate stream's bits, lowest first (RFC 1951, 3.1.1), and the bytes around it. */
export class BitReader {
  readonly #fill: Fill;
  #chunk: Uint8Array = new Uint8Array();
  #at = 0;
  #bits = 0;
  #count = 0;
  /** Gets a copy of everything that {@link take} takes. */
  copy: BitWriter | undefined;

  constructor(fill: Fill) {
    this.#fill = fill;
  }

  /** @param width - 0 to 16 */
  take(width: number): number {
    this.need(width);
    const value = this.#bits & ((1 << width) - 1);
    this.skip(width);
    this.copy?.put(value, width);
    return value;
  }

  /** At least 16 bits without taking them; zeros after the end. */
  peek(): number {
    if (this.#count < 16) this.#load();
    return this.#bits;
  }

  /** Takes bits that {@link peek} has shown. @throws DATA_LOSS when they were beyond the end */
  skip(width: number): void {
    if (width > this.#count) throw ended();
    this.#bits >>>= width;
    this.#count -= width;
  }

  need(width: number): void {
    if (this.#count < width) this.#load();
    if (this.#count < width) throw ended();
  }

  /** Drops the bits up to the next byte. @returns what they were */
  align(): number {
    const width = this.#count & 7;
    const value = this.#bits & ((1 << width) - 1);
    this.skip(width);
    return value;
  }

  /** The next whole byte; `undefined` at the end. Only where the bits end at a byte. */
  byte(): number | undefined {
    if (this.#count < 8) this.#load();
    if (this.#count < 8) return undefined;
    const value = this.#bits & 0xff;
    this.skip(8);
    return value;
  }

  #load(): void {
    while (this.#count <= 16) {
      if (this.#at === this.#chunk.length) {
        const next = this.#fill();
        if (next === undefined) return;
        this.#chunk = next;
        this.#at = 0;
        continue;
      }
      this.#bits |= this.#chunk[this.#at++]! << this.#count;
      this.#count += 8;
    }
  }
}

const ended = (): MicaError => new MicaError('DATA_LOSS', 'the deflate stream is cut');
