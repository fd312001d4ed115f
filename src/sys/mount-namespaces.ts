import { readdirSync, readlinkSync } from 'node:fs';
import { readMountinfo } from './mountinfo.ts';

/** PROC_PID_INIT_INO of the kernel: the namespace in which every process is seen. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

/** `mnt:[4026531841]`; '' off Linux. */
export const mountNamespace = (): string => namespaceOf('self') ?? '';

/**
 * The mount namespaces that are alive: a process is in them, or a bind keeps them. `undefined` where
 * that cannot be known, because not every process is to be seen here.
 */
export function liveMountNamespaces(): Set<string> | undefined {
  if (namespaceOf('self', 'pid') !== FIRST_PID_NAMESPACE) return undefined;
  const alive = new Set<string>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const namespace = namespaceOf(pid);
    if (namespace === undefined || alive.has(namespace)) continue;
    alive.add(namespace);
    for (const kept of keptIn(pid)) alive.add(kept);
  }
  return alive;
}

/** `undefined` for a process that has ended, or is somebody else's: that one works on no store of ours. */
function namespaceOf(pid: string, kind: 'mnt' | 'pid' = 'mnt'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}

/** Namespaces that are bound to a file there. */
function keptIn(pid: string): string[] {
  try {
    return readMountinfo(pid).flatMap(({ type, root }) => (type === 'nsfs' ? [root] : []));
  } catch {
    return [];
  }
}
