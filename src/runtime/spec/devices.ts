import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { majorOf, minorOf } from '../../sys/at.ts';
import type { Device, DeviceRule } from './oci-spec.ts';

const rule = (type: 'b' | 'c', access: string, major?: number, minor?: number): DeviceRule => ({
  allow: true,
  type,
  access,
  ...(major !== undefined && { major }),
  ...(minor !== undefined && { minor }),
});

/** Nodes of any device may be made, but only these opened. The runtime makes those of them that each container has. */
export const DEFAULT_RULES: readonly DeviceRule[] = [
  { allow: false, access: 'rwm' },
  rule('c', 'm'),
  rule('b', 'm'),
  // null, zero, full, random, urandom
  ...[3, 5, 7, 8, 9].map((minor) => rule('c', 'rwm', 1, minor)),
  // tty, console, ptmx
  ...[0, 1, 2].map((minor) => rule('c', 'rwm', 5, minor)),
  // terminals of /dev/pts
  rule('c', 'rwm', 136),
];

export const ALL_RULES: readonly DeviceRule[] = [{ allow: true, access: 'rwm' }];

/** Directories of /dev that a container has of its own, and what the runtime makes. */
const NOT_SHARED: ReadonlySet<string> = new Set(
  'pts shm fd mqueue console ptmx null zero full random urandom tty'.split(' '),
);

/** Every device of this machine, for privileged containers. */
export function hostDevices(directory = '/dev'): Device[] {
  const found: Device[] = [];
  for (const { name } of readdirSync(directory, { withFileTypes: true })) {
    if (directory === '/dev' && NOT_SHARED.has(name)) continue;
    const path = join(directory, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) found.push(...hostDevices(path));
    else if (stat?.isCharacterDevice() || stat?.isBlockDevice())
      found.push({
        type: stat.isBlockDevice() ? 'b' : 'c',
        path,
        major: majorOf(stat.rdev),
        minor: minorOf(stat.rdev),
        fileMode: stat.mode & 0o7777,
        uid: stat.uid,
        gid: stat.gid,
      });
  }
  return found;
}
