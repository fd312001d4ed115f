import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { MicaError } from '../../errors.ts';
import { type Ending, reap } from '../../sys/process.ts';

/** A child that Node does not know of. */
export interface Adopted {
  readonly ending: Promise<Ending>;
}

/**
 * Resolves when a process has become our child by losing its parent: a runtime's last process may
 * end a moment after the one that we waited for.
 * @throws INTERNAL when it ended in the hands of another
 */
export async function adopt(pid: number): Promise<Adopted> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const look = (): boolean => {
    const found = reap(pid);
    if (typeof found === 'object') resolve(found);
    return found !== undefined;
  };
  while (!look()) {
    if (!existsSync(`/proc/${pid}`))
      throw new MicaError('INTERNAL', `process ${pid} ended as the child of another`);
    await setTimeout(1);
  }
  process.on('SIGCHLD', look);
  // It may have ended before that.
  look();
  void promise.then(() => process.off('SIGCHLD', look));
  return { ending: promise };
}

export const exitCodeOf = (ending: Ending): number =>
  'code' in ending ? ending.code : 128 + ending.signal;
