import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { MicaError } from '../../errors.ts';
import { fromNode } from '../../sys/errno.ts';
import { type Cgroups, read } from './cgroup.ts';

export function isFrozen({ freezer }: Cgroups): boolean {
  if (freezer === undefined) return false;
  const old = read(join(freezer, 'freezer.state'));
  if (old !== undefined) return old.trim() !== 'THAWED';
  return read(join(freezer, 'cgroup.freeze'))?.startsWith('1') ?? false;
}

/**
 * Stops all processes of a container, or lets them go on, and waits until they have. Where its groups
 * are gone nothing is left that could go on.
 * @throws FAILED_PRECONDITION when it has no control group for that
 */
export async function setFrozen(
  { freezer }: Cgroups,
  frozen: boolean,
  signal?: AbortSignal,
): Promise<void> {
  if (freezer === undefined)
    throw new MicaError(
      'FAILED_PRECONDITION',
      'pausing needs control groups, and the container has none of its own; run as root',
    );
  const old = join(freezer, 'freezer.state');
  const isOld = existsSync(old);
  const [file, word] = isOld
    ? [old, frozen ? 'FROZEN' : 'THAWED']
    : [join(freezer, 'cgroup.freeze'), frozen ? '1' : '0'];
  const isDone = (): boolean =>
    isOld
      ? read(old)?.trim() === word
      : /^frozen (\d)$/m.exec(read(join(freezer, 'cgroup.events')) ?? '')?.[1] === word;
  const options = { ...(signal && { signal }) };
  try {
    for (let tries = 1, pause = 1; ; tries++, pause = Math.min(pause * 2, 50)) {
      // A process that forks meanwhile escapes the old freezer; asking again catches it.
      writeFileSync(file, word);
      if (isDone()) return;
      await setTimeout(pause, undefined, options);
      if (!isOld || !frozen || tries % VAIN !== 0) continue;
      writeFileSync(file, 'THAWED');
      await setTimeout(tries, undefined, options);
    }
  } catch (error) {
    // What was killed may be gone, with its groups, before it is thawed.
    if (!frozen && !existsSync(freezer)) return;
    if (frozen) letGo(file, isOld);
    throw fromNode(error, freezer);
  }
}

/**
 * After so many attempts all is thawed for a moment: a program with threads that executes another one waits for
 * these to end, which in the old freezer they do not, and so it is never frozen itself.
 */
const VAIN = 8;

/** Half frozen is neither. */
function letGo(file: string, isOld: boolean): void {
  try {
    writeFileSync(file, isOld ? 'THAWED' : '0');
  } catch {
    // It is gone with its groups, then.
  }
}
