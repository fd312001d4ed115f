/** What needs inflating. */
export type Inflatable = 'gzip' | 'zstd';

/** Inflates step by step, synchronously. */
export interface Inflater {
  /**
   * Makes at most `into.length` bytes of output from `input`. When it neither used nor made any, it
   * has said everything: it wants other input, or refuses what is left of this one.
   * @throws Error when the input is damaged; only `close` may be called then
   */
  step(input: Uint8Array, into: Uint8Array): Step;
  /**
   * The same on a thread of the pool, for inflaters that can. Until it settles both buffers are left
   * alone, and nothing else is called. When `made` is less than there is room for, all input is used.
   */
  readonly later?: (input: Uint8Array, into: Uint8Array) => Promise<Step>;
  /** @throws Error when the input so far ends inside a stream */
  finish(): void;
  close(): void;
}

/** In bytes. */
export interface Step {
  readonly used: number;
  readonly made: number;
}

/** Pieces of output are at most this, in bytes. */
export const OUTPUT_SIZE: number = 256 * 1024;

/**
 * Windows of up to 128 MiB: libzstd's own limit, and the most that any of its levels makes. It
 * bounds what a hostile frame makes us allocate.
 */
export const ZSTD_WINDOW_LOG_MAX = 27;
