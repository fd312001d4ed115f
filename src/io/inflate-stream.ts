import type { Compression } from './compression.ts';
import { Inflation } from './inflate.ts';
import type { Inflater } from './inflater.ts';
import { type Piece, Slabs } from './slabs.ts';

/** How many pieces may be on their way at once, and how large they are at most, in bytes. */
const [SLABS, SLAB_SIZE] = [4, 512 * 1024];

/** What pieces lie in; for one stream at a time. */
export const inflateSlabs = (): Slabs => new Slabs(SLABS, SLAB_SIZE);

export interface InflateStreamOptions {
  /** Default: the fastest on this machine. */
  readonly inflater?: Inflater | undefined;
  readonly slabs?: Slabs;
}

/**
 * Inflates what is written to it, and hands out pieces. Where the inflater can, it makes a piece on
 * a thread of the pool while whoever takes them is busy with the one before; that one is therefore
 * held back until the next one has begun.
 */
export class InflateStream implements AsyncDisposable {
  readonly #sink: (piece: Piece) => void;
  readonly #inflation: Inflation | undefined;
  readonly #slabs: Slabs;
  #held: Piece | undefined;
  #running: Promise<unknown> = Promise.resolve();

  /** @param sink - called with each piece in turn; what it throws, `write`, `flush` or `end` throws */
  constructor(
    compression: Compression,
    sink: (piece: Piece) => void,
    { inflater, slabs = inflateSlabs() }: InflateStreamOptions = {},
  ) {
    this.#sink = sink;
    this.#slabs = slabs;
    if (compression !== 'none') this.#inflation = new Inflation(compression, inflater);
  }

  /**
   * Takes the next bytes; when it resolves they are needed no more. What is called right after it,
   * before it is awaited, runs beside it.
   * @throws DATA_LOSS when they are damaged; RESOURCE_EXHAUSTED for zstd with too large a window
   */
  async write(chunk: Uint8Array): Promise<void> {
    const make = this.#inflation === undefined ? copy : this.#inflate;
    let input = chunk;
    for (let more = true; more;) {
      const taken = this.#slabs.take();
      const slab = taken instanceof Promise ? await taken : taken;
      const step = make(input, slab.bytes);
      this.flush();
      const { used, made, more: again } = step instanceof Promise ? await step : step;
      input = input.subarray(used);
      more = again;
      if (made > 0) this.#held = { bytes: slab.bytes.subarray(0, made), release: slab.release };
      else slab.release();
    }
  }

  /** Hands out what is held back, as is right before a long wait. */
  flush(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#sink(held);
  }

  /** @throws DATA_LOSS when the bytes ended too early */
  end(): void {
    this.flush();
    this.#inflation?.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running;
    this.#inflation?.[Symbol.dispose]();
  }

  readonly #inflate: Inflation['advance'] = (input, into) => {
    const step = this.#inflation!.advance(input, into);
    if (step instanceof Promise) this.#running = step.catch(() => undefined);
    return step;
  };
}

function copy(input: Uint8Array, into: Uint8Array): { used: number; made: number; more: boolean } {
  const made = Math.min(input.length, into.length);
  into.set(input.subarray(0, made));
  return { used: made, made, more: made < input.length };
}
