import { setImmediate } from 'node:timers/promises';

/** How long this thread works before others get their turn, in milliseconds. */
const SLICE = 10;

/** Lets others have the thread now and then, in long work that is done piece by piece. */
export class Pace {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(signal?: AbortSignal) {
    signal?.throwIfAborted();
    this.#signal = signal;
  }

  /** Whether it is time to {@link rest}: asking costs next to nothing. */
  get due(): boolean {
    return performance.now() - this.#since > SLICE;
  }

  /** @throws the signal's reason when it was aborted */
  async rest(): Promise<void> {
    await setImmediate();
    this.#signal?.throwIfAborted();
    this.#since = performance.now();
  }
}
