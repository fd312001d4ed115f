/**
 * Chunks on their way from a producer that cannot wait at every one of them to one reader. The
 * producer looks at {@link full} now and then, and waits for {@link drained}.
 */
export class Channel implements AsyncIterable<Uint8Array> {
  readonly #limit: number;
  readonly #queue: Uint8Array[] = [];
  #bytes = 0;
  #state: 'open' | 'ended' | 'left' = 'open';
  #error: unknown;
  /** Whoever waits: the reader for chunks, or the producer for room. */
  #wake: (() => void) | undefined;

  /** @param limit - bytes that may wait before it is full */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.#bytes > this.#limit;
  }

  /** @param chunk - the reader's to keep */
  push(chunk: Uint8Array): void {
    if (this.#state !== 'open') return;
    this.#queue.push(chunk);
    this.#bytes += chunk.length;
    this.#awake();
  }

  /** There is room again, or the reader has left. */
  async drained(): Promise<void> {
    while (this.full && this.#state === 'open') await this.#change();
  }

  /** The reader gets what is left, and then the end or the error. */
  end(error?: unknown): void {
    if (this.#state === 'open') [this.#state, this.#error] = ['ended', error];
    this.#awake();
  }

  /** Nobody reads any more: what is pushed is dropped. */
  leave(): void {
    this.#state = 'left';
    this.#queue.length = this.#bytes = 0;
    this.#awake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#queue.shift();
        if (chunk !== undefined) {
          this.#bytes -= chunk.length;
          this.#awake();
          yield chunk;
        } else if (this.#state === 'open') await this.#change();
        else break;
      }
    } finally {
      if (this.#state === 'open') this.leave();
    }
    if (this.#error !== undefined) throw this.#error;
  }

  #change(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = this.#wake;
    this.#wake = () => {
      before?.();
      resolve();
    };
    return promise;
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
