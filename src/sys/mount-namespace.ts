import { closeSync, openSync } from 'node:fs';
import { cstring, syscall } from './binding.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

const CLONE_NEWNS = 0x20000;
const MS_PRIVATE = 1 << 18;
const UMOUNT_NOFOLLOW = 8;

/**
 * Runs `task` where `hidden`, a mount on a directory of the mount `parent`, is not there: in a mount
 * namespace of its own, which the processes that `task` starts inherit. To all others nothing changes.
 *
 * It concerns the calling thread alone and must be the main one, where Node starts processes. That
 * thread's working directory becomes `/`. Needs root.
 */
export function withoutMount<T>(parent: string, hidden: string, task: () => T): T {
  const home = openSync('/proc/thread-self/ns/mnt', 'r');
  try {
    checked(syscall(NR.unshare, CLONE_NEWNS), 'unshare', '');
    try {
      // What is unmounted from a shared mount vanishes from its peers, too.
      const target = cstring(parent, 0);
      checked(syscall(NR.mount, 0, target, 0, MS_PRIVATE), 'mount', parent);
      checked(syscall(NR.umount2, cstring(hidden, 0), UMOUNT_NOFOLLOW), 'umount', hidden);
      return task();
    } finally {
      checked(syscall(NR.setns, home, CLONE_NEWNS), 'setns', '');
    }
  } finally {
    closeSync(home);
  }
}
