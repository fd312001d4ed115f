import { readFileSync } from 'node:fs';
import { StartError } from '../failure.ts';
import type { Process } from './oci-spec.ts';

/** Of the auxiliary vector, which is pairs of 64-bit words. */
const AT_PAGESZ = 6n;
/** A single argument or variable has at most so many pages, the NUL at its end included. */
const PAGES = 32;
/** In bytes: what all of them may always have, and what they may have at most, however large the stack is. */
const [LEAST, MOST] = [128 * 1024, 6 * 1024 * 1024];
const POINTER = 8;
/** As Docker has it: the command is there, and cannot be executed. */
const CANNOT_EXECUTE = 126;

/**
 * Refuses what execve(2) would refuse: the runtime has reported by then that all is well, and the container would
 * end with a complaint of the runtime's among its own output.
 * @throws StartError
 * @see "Limits on size of arguments and environment" in execve(2)
 */
export function refuseTooLong({
  args,
  env,
  rlimits,
}: Pick<Process, 'args' | 'env' | 'rlimits'>): void {
  const sizes = [...args, ...env].map((text) => Buffer.byteLength(text) + 1);
  const total = sizes.reduce((sum, size) => sum + size + POINTER, 0);
  // Nearly all are so short that nobody has to look at the machine.
  if (total <= LEAST) return;
  const longest = sizes.reduce((a, b) => Math.max(a, b));
  const most = PAGES * pageSize();
  if (longest > most)
    throw tooLong(`one of ${longest - 1} bytes, and a single one may have ${most - 1}`);
  const room = roomFor(rlimits);
  if (total > room) throw tooLong(`${total} bytes in all, and a quarter of the stack is ${room}`);
}

const tooLong = (why: string): StartError =>
  new StartError(
    'INVALID_ARGUMENT',
    `argument list too long: arguments and environment have ${why}; give what is long by a file (-v FILE:PATH)`,
    CANNOT_EXECUTE,
  );

function roomFor(rlimits: Process['rlimits']): number {
  const stack = rlimits.find(({ type }) => type === 'RLIMIT_STACK')?.soft ?? ownStack();
  return Math.max(LEAST, Math.min(MOST, Number(stack) / 4));
}

/** What a container has unless it was asked for something else. */
function ownStack(): number {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const soft = /^Max stack size +(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? Infinity : Number(soft);
}

function pageSize(): number {
  const words = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= words.length; at += 16)
    if (words.readBigUInt64LE(at) === AT_PAGESZ) return Number(words.readBigUInt64LE(at + 8));
  return 4096;
}
