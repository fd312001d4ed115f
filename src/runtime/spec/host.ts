import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { inUserNamespace } from '../../sys/userns.ts';
import { readUnified } from '../cgroup/unified.ts';

/** How this machine mounts control groups: a hierarchy each, one for all, or none that we could make groups in. */
export type CgroupLayout = 'v1' | 'v2' | 'none';

/** What the machine, and our place in it, allow a container to have. */
export interface HostFacts {
  readonly cgroups: CgroupLayout;
  /** Beside the hierarchies of v1 an empty tree of v2 is mounted, as systemd 232 to 255 liked it. */
  readonly hybrid: boolean;
  /** In a user namespace: no devices can be made, and the host's network has no sysfs for us. */
  readonly userNamespace: boolean;
  /** Memory and swap together can be limited. */
  readonly swapLimit: boolean;
  /** Of v2: controllers that groups of ours can have. Absent: all. */
  readonly controllers?: ReadonlySet<string> | undefined;
  /** IDs that exist here, of users and groups. */
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

export interface IdRange {
  readonly first: number;
  readonly count: number;
}

const CGROUP2_MAGIC = 0x63677270;
const CGROUPS = '/sys/fs/cgroup';

export function hostFacts(): HostFacts {
  const cgroups = cgroupLayout();
  return {
    cgroups,
    hybrid: isCgroup2(`${CGROUPS}/unified`),
    userNamespace: inUserNamespace(),
    ...(cgroups === 'v2'
      ? readUnified(CGROUPS)
      : { swapLimit: existsSync(`${CGROUPS}/memory/memory.memsw.limit_in_bytes`) }),
    uids: idRanges('uid_map'),
    gids: idRanges('gid_map'),
  };
}

function cgroupLayout(): CgroupLayout {
  // The root of a user namespace is nobody to the hierarchies of the machine.
  if (inUserNamespace()) return 'none';
  if (isCgroup2(CGROUPS)) return isWritable(CGROUPS) ? 'v2' : 'none';
  if (!isWritable(`${CGROUPS}/memory`)) return 'none';
  return 'v1';
}

function isCgroup2(path: string): boolean {
  try {
    return statfsSync(path).type === CGROUP2_MAGIC;
  } catch {
    return false;
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

const idRanges = (map: string): IdRange[] =>
  readFileSync(`/proc/self/${map}`, 'latin1')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first, , count]) => ({ first: first!, count: count! }));

export const isMapped = (ranges: readonly IdRange[], id: number): boolean =>
  ranges.some(({ first, count }) => id >= first && id < first + count);
