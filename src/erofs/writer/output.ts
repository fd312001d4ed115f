/** The image as a stream: fields are written into one zeroed buffer, which goes to the sink when it is full. */
export class Output {
  /** Bytes given to the sink so far. */
  #flushed = 0;
  /** Where the next one goes in {@link buffer}. */
  #at = 0;
  /** Holds what was reserved and not yet flushed. */
  readonly buffer: Buffer;
  /** The same memory. Its numbers are not checked: for those that are known to fit. */
  readonly view: DataView;
  readonly #sink: (chunk: Uint8Array) => void;

  constructor(sink: (chunk: Uint8Array) => void, size: number) {
    this.buffer = Buffer.alloc(size);
    const { buffer, byteOffset, byteLength } = this.buffer;
    this.view = new DataView(buffer, byteOffset, byteLength);
    this.#sink = sink;
  }

  get position(): number {
    return this.#flushed + this.#at;
  }

  /**
   * Where in {@link buffer} `length` zeroed bytes are to be filled in before the next reservation.
   * At most the size of the buffer.
   */
  reserve(length: number): number {
    if (this.#at + length > this.buffer.length) this.flush();
    const start = this.#at;
    this.#at += length;
    return start;
  }

  write(bytes: Uint8Array): void {
    const piece = this.buffer.length;
    for (let done = 0; done < bytes.length; done += piece) {
      const part = bytes.subarray(done, done + piece);
      this.buffer.set(part, this.reserve(part.length));
    }
  }

  /** Zeros up to `position`. */
  padTo(position: number): void {
    while (this.position < position)
      this.reserve(Math.min(position - this.position, this.buffer.length));
  }

  flush(): void {
    if (this.#at === 0) return;
    this.#sink(this.buffer.subarray(0, this.#at));
    this.buffer.fill(0, 0, this.#at);
    this.#flushed += this.#at;
    this.#at = 0;
  }
}
