import { MicaError } from '../errors.ts';
import type { Compression } from './compression.ts';
import { handleInflater, handleWorks } from './inflate-handle.ts';
import { isalInflater, isalProblem } from './inflate-isal.ts';
import { threadInflater } from './inflate-thread.ts';
import { type Inflatable, type Inflater, OUTPUT_SIZE } from './inflater.ts';

/** Takes stored bytes, hands out what they inflate to. Synchronous. */
export interface Inflate extends Disposable {
  /** @throws DATA_LOSS when the bytes are damaged */
  write(chunk: Uint8Array): void;
  /** @throws DATA_LOSS when the bytes end too early */
  end(): void;
}

/**
 * Opens an inflater that calls `sink` with what it makes, in pieces of at most 256 KiB. Their
 * buffer is used again when `sink` returns. After an error it can only be disposed of.
 *
 * Gzip may have several members, followed by zeros up to some block's end (`gzip -d` allows both,
 * Go's readers the first); anything else after them is damage, as it is for Go. Zstd may have
 * several frames, skippable ones included (zstd:chunked).
 */
export function openInflate(compression: Compression, sink: (chunk: Uint8Array) => void): Inflate {
  if (compression === 'none') return { write: sink, end() {}, [Symbol.dispose]() {} };
  const inflation = new Inflation(compression);
  return {
    write(chunk) {
      for (const piece of inflation.pieces(chunk)) sink(piece);
    },
    end: () => inflation.end(),
    [Symbol.dispose]: () => inflation[Symbol.dispose](),
  };
}

/** The fastest inflater that works on this machine. */
function openInflater(kind: Inflatable): Inflater {
  if (kind === 'gzip' && isalProblem() === undefined) return isalInflater();
  return handleWorks() ? handleInflater(kind) : threadInflater(kind);
}

/** What inflates gzip here, and why nothing faster does, for people. */
export function gzipInflater(): { readonly name: string; readonly reason: string | undefined } {
  const reason = isalProblem();
  if (reason === undefined) return { name: 'ISA-L', reason };
  return { name: handleWorks() ? 'zlib' : 'zlib, by its public streams', reason };
}

/** The same, for who wants to pause between pieces. */
export class Inflation implements Disposable {
  readonly #kind: Inflatable;
  readonly #inflater: Inflater;
  readonly #output: Buffer = Buffer.allocUnsafeSlow(OUTPUT_SIZE);
  #started = false;
  /** Zeros have been seen after a member of gzip: nothing else may come. */
  #over = false;
  #closed = false;

  constructor(kind: Inflatable, inflater: Inflater = openInflater(kind)) {
    this.#kind = kind;
    this.#inflater = inflater;
  }

  /** What can be made once `chunk` is there, each piece valid until the next. All must be taken. */
  *pieces(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let input = chunk;
    while (!this.#over) {
      const { used, made } = this.#try(() => this.#inflater.step(input, this.#output));
      if (used === 0 && made === 0) break;
      this.#started = true;
      input = input.subarray(used);
      if (made > 0) yield made === OUTPUT_SIZE ? this.#output : this.#output.subarray(0, made);
    }
    if (input.length > 0) this.#rest(input);
  }

  end(): void {
    if (!this.#started) throw this.#damaged('there are none');
    if (!this.#over) this.#try(() => this.#inflater.finish());
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.#inflater.close();
    this.#closed = true;
  }

  /** The library stops by itself at a zero byte after a member of gzip. */
  #rest(input: Uint8Array): void {
    this.#over = true;
    if (this.#kind !== 'gzip' || input.some((byte) => byte !== 0))
      throw this.#damaged('something else follows their end');
  }

  #try<T>(step: () => T): T {
    if (this.#closed) throw new TypeError('an inflater that is closed');
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
