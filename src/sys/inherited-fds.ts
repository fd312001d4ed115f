import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { syscall } from './binding.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

const F_SETFD = 2;
const FD_CLOEXEC = 1;
const O_CLOEXEC = 0o2000000;

/**
 * Closes the descriptors that this process was given beside its input and outputs and that its
 * children would get, too; `kept` stays, for this process alone. Node does that for the first few
 * only. To be called before something is opened that children shall have.
 */
export function closeInherited(kept: number): void {
  checked(syscall(NR.fcntl, kept, F_SETFD, FD_CLOEXEC), 'fcntl', '');
  for (const name of readdirSync('/proc/self/fdinfo'))
    if (Number(name) > 2 && isInheritable(name)) closeSync(Number(name));
}

/** What came through execve(2) has no flag, unless Node set it at its start; all that Node opens has one. */
function isInheritable(name: string): boolean {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${name}`, 'latin1');
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '', 8);
    return (flags & O_CLOEXEC) === 0;
  } catch {
    // The directory that was just read.
    return false;
  }
}
