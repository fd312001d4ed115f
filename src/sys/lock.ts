import { syscall } from './binding.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

const LOCK = { shared: 1, exclusive: 2, unlocked: 8 } as const;
const LOCK_NB = 4;
const EINTR = 4;
const EAGAIN = 11;

/**
 * Locks the open file behind `fd` as flock(2) does: the lock belongs to the open file, is shared by
 * duplicates of `fd` and ends when the last of them is closed, at the latest when the process dies.
 * @param nonblocking - default true; `false` blocks the whole thread until the lock is free
 * @returns whether the lock is held now
 */
export function flock(fd: number, kind: keyof typeof LOCK, nonblocking = true): boolean {
  for (;;) {
    const result = syscall(NR.flock, fd, LOCK[kind] | (nonblocking ? LOCK_NB : 0));
    if (result === -EINTR) continue;
    if (result === -EAGAIN) return false;
    checked(result, 'flock', '');
    return true;
  }
}
