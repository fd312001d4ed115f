import { closeSync, readdirSync } from 'node:fs';
import { syscall } from './binding.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

const F_GETFD = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const EBADF = 9;

/**
 * Closes the descriptors that this process was given beside its input and outputs and that its
 * children would get, too; `kept` stays, for this process alone. Node does that for the first few
 * only. To be called before something is opened that children shall have.
 */
export function closeInherited(kept: number): void {
  checked(syscall(NR.fcntl, kept, F_SETFD, FD_CLOEXEC), 'fcntl', '');
  for (const fd of readdirSync('/proc/self/fd').map(Number))
    if (fd > 2 && isInheritable(fd)) closeSync(fd);
}

/** What came through execve(2) has no flag, unless Node set it at its start; all that Node opens has one. */
function isInheritable(fd: number): boolean {
  const flags = syscall(NR.fcntl, fd, F_GETFD);
  // The directory that was just read.
  if (flags === -EBADF) return false;
  return (checked(flags, 'fcntl', '') & FD_CLOEXEC) === 0;
}
