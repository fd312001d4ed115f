/**
 * An addon that is loaded in a thread which is being ended cannot define what it has, and aborts the
 * whole process for that. So whoever ends a thread, and a process that ends with threads in it, waits
 * until what such a thread is loading is there: see `thread.ts`.
 */

/** What a thread and who started it share: one of these. */
const [FREE, LOADING, ENDING] = [0, 1, 2];

/** Of this thread; absent where nobody ends it. */
let own: Int32Array | undefined;

export const newState = (): Int32Array => new Int32Array(new SharedArrayBuffer(4));

/** To be called first of all in a thread. @param state - what {@link newState} made for it */
export function beEndedPolitely(state: Int32Array): void {
  own = state;
}

/** Loads native code in one piece, or never returns, in a thread that is being ended. Not to be nested. */
export function undisturbed<T>(load: () => T): T {
  if (own === undefined) return load();
  if (Atomics.compareExchange(own, 0, FREE, LOADING) === ENDING) Atomics.wait(own, 0, ENDING);
  try {
    return load();
  } finally {
    Atomics.store(own, 0, FREE);
    Atomics.notify(own, 0);
  }
}

/** Of a thread that was lost in the middle of it nobody hears. In milliseconds; loading takes some 5. */
const PATIENCE = 5_000;

/** Waits until nothing is being loaded in the thread; nothing will be afterwards. */
export function endLoading(state: Int32Array): void {
  const until = performance.now() + PATIENCE;
  while (Atomics.compareExchange(state, 0, FREE, ENDING) === LOADING && performance.now() < until)
    Atomics.wait(state, 0, LOADING, PATIENCE);
}
