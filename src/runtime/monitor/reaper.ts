import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { MicaError } from '../../errors.ts';
import { endingOf } from '../../sys/children.ts';
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
  for (;;) {
    const found = reap(pid);
    if (found === 'running') return { ending: endingOf(pid) };
    if (found !== undefined) return { ending: Promise.resolve(found) };
    if (!existsSync(`/proc/${pid}`))
      throw new MicaError('INTERNAL', `process ${pid} ended as the child of another`);
    await setTimeout(1);
  }
}

export const exitCodeOf = (ending: Ending): number =>
  'code' in ending ? ending.code : 128 + ending.signal;
