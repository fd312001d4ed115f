import { closeSync, openSync } from 'node:fs';
import { cstring, syscall } from './binding.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

const CLONE_NEWNS = 0x20000;
const MS_PRIVATE = 1 << 18;

/**
 * Runs `task` where an empty tmpfs covers the mount point `covered`: in a mount namespace of its
 * own, which the processes that `task` starts inherit. To all others nothing changes.
 *
 * It concerns the calling thread alone and must be the main one, where Node starts processes. That
 * thread's working directory becomes `/`. Needs root, be it of a user namespace.
 */
export function withCovered<T>(covered: string, task: () => T): T {
  const home = openSync('/proc/thread-self/ns/mnt', 'r');
  try {
    checked(syscall(NR.unshare, CLONE_NEWNS), 'unshare', '');
    try {
      const target = cstring(covered, 0);
      // What is mounted on a shared mount appears on its peers, too.
      checked(syscall(NR.mount, 0, target, 0, MS_PRIVATE), 'mount', covered);
      const tmpfs = cstring('tmpfs', 1);
      checked(syscall(NR.mount, tmpfs, target, tmpfs, 0), 'mount', covered);
      return task();
    } finally {
      checked(syscall(NR.setns, home, CLONE_NEWNS), 'setns', '');
    }
  } finally {
    closeSync(home);
  }
}
