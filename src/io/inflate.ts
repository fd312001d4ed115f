import { MicaError } from '../errors.ts';
import { handleInflater, handleWorks } from './inflate-handle.ts';
import { isalInflater, isalProblem } from './inflate-isal.ts';
import { threadInflater } from './inflate-thread.ts';
import { hasZstd, zstdInflater } from './inflate-zstd.ts';
import {
  type Inflatable,
  type Inflater,
  OUTPUT_SIZE,
  type Step,
  ZSTD_WINDOW_LOG_MAX,
} from './inflater.ts';

/** The fastest inflater that works on this machine. */
function openInflater(kind: Inflatable): Inflater {
  if (kind === 'gzip' && isalProblem() === undefined) return isalInflater();
  if (kind === 'zstd' && hasZstd()) return zstdInflater();
  return handleWorks() ? handleInflater(kind) : threadInflater(kind);
}

/** What inflates gzip here, and why nothing faster does, for people. */
export function gzipInflater(): { readonly name: string; readonly reason: string | undefined } {
  const reason = isalProblem();
  if (reason === undefined) return { name: 'ISA-L', reason };
  return { name: handleWorks() ? 'zlib' : 'zlib, by its public streams', reason };
}

/** A step of an {@link Inflation}; without `more`, all that its input is good for has been made. */
export interface Advance extends Step {
  readonly more: boolean;
}

/**
 * Inflates a stream, whatever inflater does the work. After an error it can only be disposed of.
 *
 * Gzip may have several members, followed by zeros up to some block's end (`gzip -d` allows both,
 * Go's readers the first); anything else after them is damage, as it is for Go. Zstd may have
 * several frames, skippable ones included (zstd:chunked).
 */
export class Inflation implements Disposable {
  readonly #kind: Inflatable;
  readonly #inflater: Inflater;
  #output: Buffer | undefined;
  #started = false;
  /** Zeros have been seen after a member of gzip: nothing else may come. */
  #over = false;
  #closed = false;

  constructor(kind: Inflatable, inflater: Inflater = openInflater(kind)) {
    this.#kind = kind;
    this.#inflater = inflater;
  }

  /**
   * What can be made once `chunk` is there, in pieces of at most 256 KiB, each valid until the next.
   * All must be taken.
   */
  *pieces(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    const output = (this.#output ??= Buffer.allocUnsafeSlow(OUTPUT_SIZE));
    let input = chunk;
    for (let more = true; more;) {
      const step = this.#advance(input, output);
      ({ more } = step);
      input = input.subarray(step.used);
      if (step.made > 0) yield step.made === OUTPUT_SIZE ? output : output.subarray(0, step.made);
    }
  }

  /**
   * Makes the next bytes of `input` in `into`, on a thread of the pool if the inflater can: then a
   * promise is returned, and until it settles both buffers are left alone and nothing else is called.
   */
  advance(input: Uint8Array, into: Uint8Array): Advance | Promise<Advance> {
    const { later } = this.#inflater;
    if (later === undefined || this.#over) return this.#advance(input, into);
    if (this.#closed) throw closed();
    return later(input, into).then(
      (step) => this.#took(step, input, step.made === into.length || step.used < input.length),
      (error: unknown) => {
        throw this.#wrong(error);
      },
    );
  }

  end(): void {
    if (!this.#started) throw this.#damaged('there are none');
    if (!this.#over) this.#try(() => this.#inflater.finish());
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.#inflater.close();
    this.#closed = true;
  }

  #advance(input: Uint8Array, into: Uint8Array): Advance {
    const step = this.#over ? NOTHING : this.#try(() => this.#inflater.step(input, into));
    return this.#took(step, input, true);
  }

  #took(step: Step, input: Uint8Array, more: boolean): Advance {
    if (step.used > 0 || step.made > 0) {
      this.#started = true;
      return { ...step, more };
    }
    if (input.length > 0) this.#rest(input);
    return { used: input.length, made: 0, more: false };
  }

  /** The library stops by itself at a zero byte after a member of gzip. */
  #rest(input: Uint8Array): void {
    this.#over = true;
    if (this.#kind !== 'gzip' || input.some((byte) => byte !== 0))
      throw this.#damaged('something else follows their end');
  }

  #try<T>(step: () => T): T {
    if (this.#closed) throw closed();
    try {
      return step();
    } catch (error) {
      throw this.#wrong(error);
    }
  }

  #wrong(error: unknown): MicaError {
    const why = error instanceof Error ? error.message : String(error);
    return WINDOW_TOO_LARGE.test(why) ? tooLarge(error) : this.#damaged(why, error);
  }

  #damaged(why: string, cause?: unknown): MicaError {
    return new MicaError('DATA_LOSS', `the ${this.#kind} data are damaged: ${why}`, { cause });
  }
}

const NOTHING: Step = { used: 0, made: 0 };

/** How libzstd says so, whoever calls it. */
const WINDOW_TOO_LARGE = /^Frame requires too much memory/;

const tooLarge = (cause: unknown): MicaError =>
  new MicaError(
    'RESOURCE_EXHAUSTED',
    `the zstd data want a window of more than ${2 ** (ZSTD_WINDOW_LOG_MAX - 20)} MiB to be read; compress them again, with --long=${ZSTD_WINDOW_LOG_MAX} at most`,
    { cause },
  );

const closed = (): TypeError => new TypeError('an inflater that is closed');
