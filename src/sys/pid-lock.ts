import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { uptime } from 'node:os';
import type { HeldLock } from './alive.ts';
import { errnoOf, fromNode } from './errno.ts';

/**
 * Lock files for systems without flock(2): the file names its holder. It is weaker — where the
 * start of a process cannot be asked for (Windows), another program that got the number of a dead
 * holder passes for it until it ends — and therefore used nowhere else.
 */

/** Creates a lock file and holds it. */
export function holdLockByPid(path: string): HeldLock {
  const temporary = `${path}.${process.pid}-${randomBytes(6).toString('hex')}.new`;
  try {
    writeFileSync(temporary, self(), { flag: 'wx', mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw fromNode(error);
  }
  return held(path);
}

/** @returns `undefined` while a living process holds it */
export function tryLockByPid(path: string): HeldLock | undefined {
  for (;;) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writeSync(fd, self());
      closeSync(fd);
      return held(path);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw fromNode(error);
    }
    if (isHeldByPid(path)) return undefined;
    // Aside first: of those who find it abandoned, one alone moves it.
    const aside = `${path}.${randomBytes(6).toString('hex')}.new`;
    try {
      renameSync(path, aside);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw fromNode(error);
    }
    rmSync(aside, { force: true });
  }
}

export function isHeldByPid(path: string): boolean {
  const mine = holding.has(path);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (mine || stats === undefined) return mine && stats !== undefined;
  if (stats.mtimeMs < Date.now() - uptime() * 1000) return false;
  const [pid, started] = read(path).split('\n');
  // Just made, and not written yet.
  if (!pid || started === undefined) return Date.now() - stats.mtimeMs < NEWBORN;
  if (!isRunning(Number(pid))) return false;
  const now = startOf(Number(pid));
  return now === started || now === '' || started === '';
}

/** In milliseconds. */
const NEWBORN = 5000;

/** What this process holds: its own number says nothing. */
const holding = new Set<string>();

function held(path: string): HeldLock {
  holding.add(path);
  return {
    path,
    [Symbol.dispose]() {
      if (!holding.delete(path)) return;
      rmSync(path, { force: true });
    },
  };
}

let identity: string | undefined;

function self(): string {
  identity ??= `${process.pid}\n${startOf(process.pid)}`;
  return identity;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

/** When a process began, in words that are the same each time; '' where nobody tells. */
function startOf(pid: number): string {
  if (process.platform === 'win32') return '';
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
    }
    const parameters = ['-o', 'lstart=', '-p', String(pid)];
    return execFileSync('ps', parameters, { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return '';
  }
}
