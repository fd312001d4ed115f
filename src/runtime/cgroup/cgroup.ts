import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Directories of a container's control groups; absent where it has none of its own. */
export interface Cgroups {
  readonly memory?: string | undefined;
  readonly freezer?: string | undefined;
}

const MOUNT = '/sys/fs/cgroup';

/** The groups of process `pid`, for whoever asks before it moves itself to others below them. */
export function cgroupsOf(pid: number): Cgroups {
  let memory: string | undefined;
  let freezer: string | undefined;
  for (const line of readFileSync(`/proc/${pid}/cgroup`, 'latin1').trim().split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    // Any other group is shared with what is no part of the container.
    if (!path.includes('/mica/')) continue;
    const names = controllers.split(',');
    if (names.includes('memory')) memory = join(MOUNT, 'memory', path);
    if (names.includes('freezer')) freezer = join(MOUNT, 'freezer', path);
    // Of v2, unless those of v1 are mounted beside it.
    if (controllers === '') {
      memory ??= join(MOUNT, path);
      freezer ??= join(MOUNT, path);
    }
  }
  return { memory, freezer };
}

/** Whether the kernel killed something of the group because it was out of memory. */
export function wasOomKilled({ memory }: Cgroups): boolean {
  if (memory === undefined) return false;
  for (const file of ['memory.events', 'memory.oom_control']) {
    const count = /^oom_kill (\d+)$/m.exec(read(join(memory, file)) ?? '')?.[1];
    if (count !== undefined) return count !== '0';
  }
  return false;
}

/** @returns `undefined` where there is no such file */
export function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
