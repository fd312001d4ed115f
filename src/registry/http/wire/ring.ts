/**
 * Memory between a socket that fills it and a reader that empties it, always the same: fresh
 * buffers for every read cost more than all the rest of a download.
 */
export class Ring {
  readonly #memory: Buffer;
  /** Where the reader is. */
  #start = 0;
  /** What is lent counts as used. */
  #used = 0;
  #lent = 0;
  /** What came although nothing was free. Read after everything else. */
  readonly #overflow: Buffer[] = [];

  constructor(size: number) {
    this.#memory = Buffer.allocUnsafeSlow(size);
  }

  get free(): number {
    return this.#overflow.length > 0 ? 0 : this.#memory.byteLength - this.#used;
  }

  /** Nothing is left to {@link take}. */
  get empty(): boolean {
    return this.#used === this.#lent && this.#overflow.length === 0;
  }

  /** A place for the next bytes; {@link written} says how many came. */
  region(): Buffer {
    const { free } = this;
    if (free === 0) return Buffer.allocUnsafeSlow(SPILL);
    const { byteLength } = this.#memory;
    const at = (this.#start + this.#used) % byteLength;
    return this.#memory.subarray(at, at + Math.min(byteLength - at, free));
  }

  written(region: Buffer, length: number): void {
    if (region.buffer === this.#memory.buffer) {
      this.#used += length;
      return;
    }
    const place = this.region();
    if (this.free >= length && place.byteLength >= length)
      this.#used += region.copy(place, 0, 0, length);
    else this.#overflow.push(region.subarray(0, length));
  }

  /** Bytes that lie together, lent until the next call. `undefined`: none are there. */
  take(): Buffer | undefined {
    const { byteLength } = this.#memory;
    this.#start = (this.#start + this.#lent) % byteLength;
    this.#used -= this.#lent;
    this.#lent = Math.min(this.#used, byteLength - this.#start);
    if (this.#lent > 0) return this.#memory.subarray(this.#start, this.#start + this.#lent);
    return this.#overflow.shift();
  }
}

/** In bytes: what TLS brings at once. */
const SPILL = 16 * 1024;
