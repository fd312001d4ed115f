import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';

/** Of a command line, in characters. */
const SHOWN = 80;

/**
 * The processes that have a file open, for people: `process 7 (mica registry)`. Those that this one
 * may look into, and itself only if it has the file open more than once.
 */
export function openedBy(path: string): string[] {
  if (process.platform !== 'linux') return [];
  const real = realpathSync(path);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => timesOpen(pid, real) > (pid === String(process.pid) ? 1 : 0))
    .map((pid) => `process ${pid} (${commandOf(pid)})`);
}

const timesOpen = (pid: string, path: string): number =>
  orElse([], () => readdirSync(`/proc/${pid}/fd`)).filter(
    (fd) => orElse('', () => readlinkSync(`/proc/${pid}/fd/${fd}`)) === path,
  ).length;

const commandOf = (pid: string): string => {
  const line = orElse('', () => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return line.replaceAll('\0', ' ').trim().slice(0, SHOWN) || 'ended';
};

/** A process may end while one looks at it, and not every one is ours to see. */
function orElse<T>(otherwise: T, look: () => T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
