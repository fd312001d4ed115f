/** How much of a growing blob file is there: the downloading thread tells, an unpacking thread waits. */
export class Available {
  /** Pass it to another thread, and construct an `Available` around it there. */
  readonly shared: SharedArrayBuffer;
  /** Version (counts changes, to wait on) and state. */
  readonly #control: Int32Array;
  /** How many bytes are there, and how many the waiting thread wants. */
  readonly #counts: BigInt64Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(24)) {
    this.shared = shared;
    this.#control = new Int32Array(shared, 0, 2);
    this.#counts = new BigInt64Array(shared, 8, 2);
  }

  /** Of a blob that is there already. */
  static complete(bytes: number): Available {
    const available = new Available();
    available.add(bytes);
    available.end();
    return available;
  }

  /** `bytes` more have been written to the file. */
  add(bytes: number): void {
    const before = Atomics.add(this.#counts, BYTES, BigInt(bytes));
    // Waking a thread for every packet would cost more than what it then does.
    if (before + BigInt(bytes) >= Atomics.load(this.#counts, WANTED)) this.#changed();
  }

  /** No more will come. */
  end(): void {
    Atomics.compareExchange(this.#control, STATE, GROWING, ENDED);
    this.#changed();
  }

  /** The download failed or nobody wants the result any more: whoever unpacks stops soon. */
  fail(): void {
    Atomics.store(this.#control, STATE, FAILED);
    this.#changed();
  }

  get bytes(): number {
    return Number(Atomics.load(this.#counts, BYTES));
  }

  /** No more will come, and nothing failed. */
  get ended(): boolean {
    return Atomics.load(this.#control, STATE) === ENDED;
  }

  get failed(): boolean {
    return Atomics.load(this.#control, STATE) === FAILED;
  }

  /**
   * Waits until there are `wanted` bytes in all, or no more will come. For a moment it blocks this
   * thread, which costs less than what else wakes one up; then others go on in it.
   * @returns the bytes that are there, fewer than wanted only at the end; `undefined` after {@link fail}
   */
  async waitFor(wanted: number): Promise<number | undefined> {
    Atomics.store(this.#counts, WANTED, BigInt(wanted));
    for (;;) {
      const version = Atomics.load(this.#control, VERSION);
      const state = Atomics.load(this.#control, STATE);
      if (state === FAILED) return undefined;
      const { bytes } = this;
      if (bytes >= wanted || state === ENDED) return bytes;
      if (Atomics.wait(this.#control, VERSION, version, MOMENT) !== 'timed-out') continue;
      await Atomics.waitAsync(this.#control, VERSION, version).value;
    }
  }

  #changed(): void {
    Atomics.add(this.#control, VERSION, 1);
    Atomics.notify(this.#control, VERSION);
  }
}

/** In milliseconds; what a network at work needs between two pieces. */
const MOMENT = 20;

const VERSION = 0;
const STATE = 1;
const BYTES = 0;
const WANTED = 1;
const GROWING = 0;
const ENDED = 1;
const FAILED = 2;
