/** A bound on how much runs at once, wherever it was started. Waiting is in order of arrival. */
export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Runs `task` in a slot of its own, as soon as one is free. An abort while waiting rejects with the reason. */
  async use<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    try {
      return await task();
    } finally {
      this.#release();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      this.#waiting.delete(take);
      reject(signal?.reason as Error);
    };
    const take = (): void => {
      signal?.removeEventListener('abort', abort);
      resolve();
    };
    this.#waiting.add(take);
    signal?.addEventListener('abort', abort, { once: true });
    return promise;
  }

  /** The slot goes straight to who waits longest. */
  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free++;
    else {
      this.#waiting.delete(next);
      next();
    }
  }
}
