import { MicaError } from '../errors.ts';
import { type Ending, reap } from './process.ts';

/** Children that Node does not know of, and who waits for their end. */
const waiting = new Map<number, PromiseWithResolvers<Ending>>();

/**
 * Resolves when a child has ended that Node did not start. To be called once for each, or it remains
 * as a zombie; in threads of workers, which no signal reaches, it does until the next call. Node does
 * not wait for it: a process that has nothing else to do ends before.
 * @throws INTERNAL when it is no child of this process
 */
export function endingOf(pid: number): Promise<Ending> {
  if (waiting.size === 0) process.on('SIGCHLD', look);
  const ending = Promise.withResolvers<Ending>();
  waiting.set(pid, ending);
  // It may have ended before.
  look();
  return ending.promise;
}

function look(): void {
  for (const [pid, { resolve, reject }] of waiting) {
    const found = reap(pid);
    if (found === 'running') continue;
    waiting.delete(pid);
    if (found === undefined)
      reject(new MicaError('INTERNAL', `process ${pid} ended as the child of another`));
    else resolve(found);
  }
  if (waiting.size === 0) process.off('SIGCHLD', look);
}
