import { Answer, DONE, type Next } from './answer.ts';

/** What feeds a {@link Body}, and how it is held back. */
export interface BodySource {
  pause(): void;
  resume(): void;
  /** Ends the transfer and gives its connection up. */
  abort(reason: Error): void;
}

/** Bytes that may wait for the reader before the sender is told to pause. */
const HIGH_WATER = 1024 * 1024;
interface Reader {
  resolve(result: Next): void;
  reject(error: unknown): void;
}

/** The bytes of an answer that are pushed here, in the pieces that came from the socket; nothing is copied. */
export class Body extends Answer {
  readonly #source: BodySource;
  readonly #chunks: Uint8Array[] = [];
  #waiting = 0;
  #paused = false;
  #ended = false;
  #failed = false;
  #error: unknown;
  #reader: Reader | undefined;

  constructor(source: BodySource) {
    super();
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

  override next(): Promise<Next> {
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

  override return(): Promise<Next> {
    this.#chunks.length = this.#waiting = 0;
    if (!this.#ended) {
      this.end();
      this.#source.abort(new Error('the rest of the answer is not wanted'));
    }
    return Promise.resolve(DONE);
  }

  #take(): Reader | undefined {
    const reader = this.#reader;
    this.#reader = undefined;
    return reader;
  }
}
