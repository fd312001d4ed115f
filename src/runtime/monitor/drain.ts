import type { Readable } from 'node:stream';
import { setImmediate, setTimeout } from 'node:timers/promises';

/** Output that was written before the end is there at once; whoever inherited the pipe may hold it for ever. In milliseconds. */
const LINGER = 100;

/**
 * Waits until all output of a process that has ended was read.
 * @param ended - resolves when nobody has the other ends any more
 * @param last - when something was read last, by `process.uptime()`: `performance` is a module to load, 0.6 ms
 */
export async function drain(ended: Promise<unknown>, last: () => number): Promise<void> {
  const done = ended.then(() => true);
  const isQuiet = (): boolean => (process.uptime() - last()) * 1000 > LINGER;
  for (;;) {
    if (await Promise.race([done, setTimeout(LINGER / 4, false)])) return;
    if (!isQuiet()) continue;
    // On a machine that is busy our time may be up before we have looked even once: what is there is
    // read in one turn of the loop, and that one comes first.
    await setImmediate();
    if (isQuiet()) return;
  }
}

/**
 * Resolves when all of a source was read, or it has failed, as a terminal does at its end. A pipe
 * that nothing was written to has its end without being read: that may be over by now.
 */
export function endOf(source: Readable): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const event of ['end', 'error', 'close']) source.on(event, () => resolve());
  if (source.readableEnded || source.destroyed) resolve();
  return promise;
}
