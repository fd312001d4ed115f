import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

/** Directories of a container's control groups; absent where it has none of its own. */
export interface Cgroups {
  readonly memory?: string | undefined;
  readonly freezer?: string | undefined;
}

const MOUNT = '/sys/fs/cgroup';

/** Where a container's groups are, below each hierarchy. */
export const cgroupPathOf = (id: string): string => `/mica/${id}`;

/**
 * The groups that a runtime has made for a container. Asked by name: a process that has ended is in
 * no group, and one that runs may have moved itself to another below.
 */
export function cgroupsOf(id: string): Cgroups {
  const find = (controller: string): string | undefined =>
    [join(MOUNT, controller), MOUNT]
      .map((hierarchy) => join(hierarchy, cgroupPathOf(id)))
      .find((path) => existsSync(path));
  return { memory: find('memory'), freezer: find('freezer') };
}

/**
 * Removes groups that a runtime made and then left, as when it fails halfway.
 * @returns whether none is left: what is in use, or holds groups of the container's own, stays
 */
export function removeCgroups(id: string): boolean {
  if (!existsSync(MOUNT)) return true;
  let gone = true;
  for (const hierarchy of [...readdirSync(MOUNT).map((name) => join(MOUNT, name)), MOUNT]) {
    const group = join(hierarchy, cgroupPathOf(id));
    // Most hierarchies of a machine have one; what has none is a link, or no hierarchy.
    if (!existsSync(group)) continue;
    try {
      rmdirSync(group);
    } catch {
      gone &&= !existsSync(group);
    }
  }
  return gone;
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
