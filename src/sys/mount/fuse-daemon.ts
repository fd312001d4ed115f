import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { close } from '../at.ts';
import { syscall } from '../binding.ts';
import { checked } from '../errno.ts';
import { NR } from '../syscalls.ts';

const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
/** All that F_SETFL sets: the rest of the flags it leaves alone. */
const SETTABLE = 0o2000 | O_NONBLOCK | 0o20000 | 0o40000 | 0o1000000;
const [EPERM, ESRCH, EBADF] = [1, 3, 9];

/** The processes of root that run `program`, as far as this one sees them. */
export function daemonsNamed(program: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => look(() => readFileSync(`/proc/${pid}/comm`, 'latin1')) === `${program}\n`)
    .filter((pid) => look(() => statSync(`/proc/${pid}`).uid) === 0)
    .map(Number);
}

/**
 * Requests to a FUSE file system can be taken back: whoever made one was killed, or a signal for its
 * daemon came too late. A daemon that learns by poll(2) of a request, and finds it gone when it
 * reads, waits there for the next one. After this it does not, in any of the file systems that it
 * serves: read(2) fails with EAGAIN. Whether it expects that is for the caller to know.
 */
export function readWithoutWaiting(pid: number): void {
  const process = syscall(NR.pidfd_open, pid);
  if (process === -ESRCH) return;
  checked(process, 'pidfd_open', String(pid));
  try {
    for (const [fd, flags] of waitingDescriptors(pid)) {
      const ours = syscall(NR.pidfd_getfd, process, fd);
      // It ended, or has closed this one; or nobody may look into it, whatever that costs.
      if ([-ESRCH, -EBADF, -EPERM].includes(ours)) continue;
      checked(ours, 'pidfd_getfd', String(pid));
      try {
        checked(syscall(NR.fcntl, ours, F_SETFL, (flags & SETTABLE) | O_NONBLOCK), 'fcntl', '');
      } finally {
        close(ours);
      }
    }
  } finally {
    close(process);
  }
}

/** Those of FUSE on which reading waits, with their flags. */
function waitingDescriptors(pid: number): [fd: number, flags: number][] {
  const all = look(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
  return all
    .filter((fd) => look(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) === '/dev/fuse')
    .flatMap((fd): [number, number][] => {
      const info = look(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1')) ?? '';
      const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '', 8);
      return (flags & O_NONBLOCK) === 0 ? [[Number(fd), flags]] : [];
    });
}

/** `undefined`: the process has ended, or is not ours to see. */
function look<T>(at: () => T): T | undefined {
  try {
    return at();
  } catch {
    return undefined;
  }
}
