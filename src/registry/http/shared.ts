/** Work that several callers wait for; it is aborted when the last of them has given up. */
export class Shared<T> {
  readonly #result: Promise<T>;
  readonly #stop = new AbortController();
  #waiting = 0;
  #settled = false;

  constructor(lifetime: AbortSignal, work: (signal: AbortSignal) => Promise<T>) {
    this.#result = work(AbortSignal.any([lifetime, this.#stop.signal])).finally(() => {
      this.#settled = true;
    });
    this.#result.catch(() => undefined);
  }

  /** Nobody was interested any more: whoever comes now starts again. */
  get abandoned(): boolean {
    return this.#stop.signal.aborted;
  }

  async wait(signal?: AbortSignal): Promise<T> {
    this.#waiting++;
    try {
      return await abortable(this.#result, signal);
    } finally {
      const alone = --this.#waiting === 0;
      if (alone && !this.#settled && signal?.aborted) this.#stop.abort(signal.reason);
    }
  }
}

async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
