import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** Of a command line, in characters. */
const SHOWN = 80;

/**
 * The processes that have a file open, for people: `process 7 (mica registry)`. Those that this one
 * may look into, and itself not among them.
 */
export function openedBy(path: string): string[] {
  if (process.platform !== 'linux') return [];
  const real = realpathSync(path);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => hasOpen(pid, real))
    .map((pid) => `process ${pid} (${commandOf(pid)})`);
}

function hasOpen(pid: string, path: string): boolean {
  const directory = `/proc/${pid}/fd`;
  return orElse([], () => readdirSync(directory)).some(
    (fd) => orElse('', () => readlinkSync(join(directory, fd))) === path,
  );
}

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
