import { MicaError } from '../../errors.ts';

/** What feeds a {@link Body}, and how it is held back. */
export interface BodySource {
  pause(): void;
  resume(): void;
  /** Ends the transfer and gives its connection up. */
  abort(reason: Error): void;
}

/** Bytes that may wait for the reader before the sender is told to pause. */
const HIGH_WATER = 1024 * 1024;
/** Reading this much of an answer nobody wants is cheaper than a new connection. */
const DRAIN = 64 * 1024;

interface Reader {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: unknown): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * The bytes of one answer, for one reader, in the pieces that came from the socket; nothing is
 * copied. Whoever does not read to the end calls {@link discard} or leaves the loop.
 */
export class Body implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #source: BodySource;
  readonly #chunks: Uint8Array[] = [];
  #waiting = 0;
  #paused = false;
  #ended = false;
  #failed = false;
  #error: unknown;
  #reader: Reader | undefined;

  constructor(source: BodySource) {
    this.#source = source;
  }

  push(chunk: Uint8Array): void {
    if (this.#ended || chunk.byteLength === 0) return;
    if (this.#reader) {
      this.#take()?.resolve({ done: false, value: chunk });
      return;
    }
    this.#chunks.push(chunk);
    this.#waiting += chunk.byteLength;
    if (this.#waiting < HIGH_WATER || this.#paused) return;
    this.#paused = true;
    this.#source.pause();
  }

  end(): void {
    this.#ended = true;
    this.#take()?.resolve(DONE);
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    this.#ended = this.#failed = true;
    this.#error = error;
    this.#take()?.reject(error);
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#waiting -= chunk.byteLength;
      if (this.#paused && this.#waiting < HIGH_WATER / 2) {
        this.#paused = false;
        this.#source.resume();
      }
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#failed) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#chunks.length = this.#waiting = 0;
    if (!this.#ended) {
      this.end();
      this.#source.abort(new Error('the rest of the answer is not wanted'));
    }
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Lets the connection serve other requests if little is left, else gives it up. Never fails. */
  async discard(): Promise<void> {
    let length = 0;
    try {
      for await (const chunk of this) if ((length += chunk.byteLength) > DRAIN) break;
    } catch {
      // Whatever happens to an answer that nobody wants has no consequence.
    }
  }

  /** Everything, if it is at most `limit` bytes. @throws DATA_LOSS when there is more */
  async bytes(limit: number, what: string): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this) {
      length += chunk.byteLength;
      if (length > limit)
        throw new MicaError(
          'DATA_LOSS',
          `${what}: the answer is longer than the ${limit} bytes allowed`,
        );
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  }

  #take(): Reader | undefined {
    const reader = this.#reader;
    this.#reader = undefined;
    return reader;
  }
}
