import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { addressOf, syscall } from './binding.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
const ESRCH = 3;
const ECHILD = 10;

/**
 * A process, certainly the same one: numbers are used again, but not with the same start.
 * Comparable on one boot only.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since the boot. */
  readonly started: string;
}

/** How a process ended. */
export type Ending = { readonly code: number } | { readonly signal: number };

/** From now on whoever loses its parent below this process becomes its child. */
export function becomeSubreaper(): void {
  checked(syscall(NR.prctl, PR_SET_CHILD_SUBREAPER, 1), 'prctl', '');
}

/**
 * Takes note of the end of a child that was not started by Node (which does so for its own).
 * @returns `undefined` when it is no child of ours, or not yet
 */
export function reap(pid: number): Ending | 'running' | undefined {
  const status = new Int32Array(1);
  const done = syscall(NR.wait4, pid, addressOf(new Uint8Array(status.buffer)), WNOHANG);
  if (done === -ECHILD) return undefined;
  if (checked(done, 'wait4', String(pid)) === 0) return 'running';
  const [word] = status as unknown as [number];
  const signal = word & 0x7f;
  return signal === 0 ? { code: (word >> 8) & 0xff } : { signal };
}

/** Who has the number `pid` now; `undefined` when nobody has, or a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = startTime(pid);
  return started === undefined ? undefined : { pid, started };
}

export const isAlive = ({ pid, started }: ProcessIdentity): boolean => startTime(pid) === started;

/**
 * Sends a signal to exactly this process.
 * @returns whether it was there to receive it
 */
export function sendSignal({ pid, started }: ProcessIdentity, number: number): boolean {
  const fd = syscall(NR.pidfd_open, pid);
  if (fd === -ESRCH) return false;
  checked(fd, 'pidfd_open', String(pid));
  try {
    // The descriptor holds on to the process: if it is the one now, it is the one we send to.
    if (startTime(pid) !== started) return false;
    const sent = syscall(NR.pidfd_send_signal, fd, number);
    if (sent === -ESRCH) return false;
    checked(sent, 'kill', String(pid));
    return true;
  } finally {
    syscall(NR.close, fd);
  }
}

/** Field 22; the command in field 2 may itself hold spaces and parentheses. */
function startTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

/**
 * The number of a signal named `SIGTERM`, `term`, `RTMIN+3` or `15`.
 * @returns `undefined` for what is none
 */
export function signalNumber(name: string): number | undefined {
  if (/^\d{1,2}$/.test(name))
    return Number(name) >= 1 && Number(name) <= MAX_SIGNAL ? Number(name) : undefined;
  const upper = name.toUpperCase().replace(/^SIG/, '');
  const [, base, offset = '+0'] = /^(RTMIN|RTMAX)([+-]\d{1,2})?$/.exec(upper) ?? [];
  if (base !== undefined) {
    const number = (base === 'RTMIN' ? MIN_REALTIME : MAX_SIGNAL) + Number(offset);
    return number >= MIN_REALTIME && number <= MAX_SIGNAL ? number : undefined;
  }
  return (constants.signals as Record<string, number>)[`SIG${upper}`];
}

/** As the C libraries have it; two below it are their own. */
const MIN_REALTIME = 34;
const MAX_SIGNAL = 64;
