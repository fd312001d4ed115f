import { MicaError } from '../errors.ts';
import type { Compression } from './compression.ts';
import { type Inflatable, type Inflater, openInflater } from './inflate-handle.ts';

/** Takes stored bytes, hands out what they inflate to. Synchronous. */
export interface Inflate extends Disposable {
  /** @throws DATA_LOSS when the bytes are damaged */
  write(chunk: Uint8Array): void;
  /** @throws DATA_LOSS when the bytes end too early */
  end(): void;
}

/** Output is handed out in pieces of at most this, in bytes. */
export const OUTPUT_SIZE: number = 256 * 1024;

/**
 * Opens an inflater that calls `sink` with what it makes. The buffer belongs to it again when `sink` returns.
 *
 * Gzip may have several members, followed by zeros (as `gzip -d` allows); anything else after them
 * is damage. Zstd may have several frames, skippable ones included (zstd:chunked, RFC 8878).
 */
export function openInflate(compression: Compression, sink: (chunk: Uint8Array) => void): Inflate {
  if (compression !== 'none') return new Stream(compression, sink);
  return { write: sink, end() {}, [Symbol.dispose]() {} };
}

class Stream implements Inflate {
  readonly #kind: Inflatable;
  readonly #sink: (chunk: Uint8Array) => void;
  readonly #inflater: Inflater;
  readonly #output: Buffer = Buffer.allocUnsafeSlow(OUTPUT_SIZE);
  #started = false;
  #closed = false;

  constructor(kind: Inflatable, sink: (chunk: Uint8Array) => void) {
    this.#kind = kind;
    this.#sink = sink;
    this.#inflater = openInflater(kind);
  }

  write(chunk: Uint8Array): void {
    let input = chunk;
    for (;;) {
      const { used, made } = this.#try(() => this.#inflater.step(input, this.#output));
      this.#started ||= used > 0;
      input = input.subarray(used);
      if (made > 0)
        this.#sink(made === OUTPUT_SIZE ? this.#output : this.#output.subarray(0, made));
      if (made === OUTPUT_SIZE) continue;
      if (input.length === 0) return;
      if (used > 0 || made > 0) continue;
      // The handle stops at a zero byte after a member of gzip.
      if (this.#kind === 'gzip' && input.every((byte) => byte === 0)) return;
      throw this.#damaged('there is something after its end');
    }
  }

  end(): void {
    if (!this.#started) throw this.#damaged('it is empty');
    this.#try(() => this.#inflater.finish(this.#output));
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.#inflater.close();
    this.#closed = true;
  }

  #try<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      throw this.#damaged(error instanceof Error ? error.message : String(error), error);
    }
  }

  #damaged(why: string, cause?: unknown): MicaError {
    return new MicaError('DATA_LOSS', `the ${this.#kind} data are damaged: ${why}`, { cause });
  }
}
