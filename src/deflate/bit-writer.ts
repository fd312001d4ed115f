/** Writes bits, lowest first (RFC 1951, 3.1.1), and hands whole buffers on. */
export class BitWriter {
  readonly #buffer: Uint8Array;
  readonly #sink: (bytes: Uint8Array) => void;
  #at = 0;
  #bits = 0;
  #count = 0;

  /** @param sink - gets buffers of `size` bytes, each valid until it returns */
  constructor(sink: (bytes: Uint8Array) => void, size: number = 256 * 1024) {
    this.#sink = sink;
    this.#buffer = new Uint8Array(size);
  }

  /** @param width - 0 to 16 */
  put(value: number, width: number): void {
    this.#bits |= value << this.#count;
    this.#count += width;
    while (this.#count >= 8) {
      this.#push(this.#bits & 0xff);
      this.#bits >>>= 8;
      this.#count -= 8;
    }
  }

  /** Fills the last byte up. */
  align(padding = 0): void {
    if (this.#count > 0) this.put(padding, 8 - this.#count);
  }

  /** Only where the bits end at a byte. */
  bytes(bytes: Uint8Array): void {
    for (const byte of bytes) this.#push(byte);
  }

  /** Bits after the last whole byte. */
  get odd(): number {
    return this.#count;
  }

  /** Hands on what is there; the last byte is filled up with zeros. */
  flush(): void {
    this.align();
    if (this.#at > 0) this.#sink(this.#buffer.subarray(0, this.#at));
    this.#at = 0;
  }

  #push(byte: number): void {
    this.#buffer[this.#at++] = byte;
    if (this.#at === this.#buffer.length) this.#hand();
  }

  #hand(): void {
    this.#sink(this.#buffer);
    this.#at = 0;
  }
}
