import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../../errors.ts';
import { majorOf, minorOf } from '../../sys/at.ts';
import type { Device, DeviceRule } from './oci-spec.ts';
import type { ContainerOptions, DeviceOption, DeviceRuleOption } from './options.ts';

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
    else if (stat && isDevice(stat)) found.push(nodeOf(path, stat));
  }
  return found;
}

const isDevice = (stat: Stats): boolean => stat.isCharacterDevice() || stat.isBlockDevice();

const nodeOf = (path: string, stat: Stats): Device => ({
  type: stat.isBlockDevice() ? 'b' : 'c',
  path,
  major: majorOf(stat.rdev),
  minor: minorOf(stat.rdev),
  fileMode: stat.mode & 0o7777,
  uid: stat.uid,
  gid: stat.gid,
});

/** A device that was asked for: its node in the container, and where it is on this machine. */
export interface AskedDevice {
  readonly node: Device;
  readonly source: string;
  readonly access: string;
}

/**
 * The devices that were asked for; of directories all that are in them.
 * @throws NOT_FOUND; INVALID_ARGUMENT for what is no device
 */
export function askedDevices({ devices = [] }: ContainerOptions): AskedDevice[] {
  return devices.flatMap((device) => {
    const stat = statSync(device.source, { throwIfNoEntry: false });
    if (stat === undefined)
      throw new MicaError('NOT_FOUND', `device ${device.source} does not exist`);
    if (isDevice(stat)) return deviceOf(device, stat);
    const found = stat.isDirectory() ? devicesIn(device) : [];
    if (found.length > 0) return found;
    throw new MicaError('INVALID_ARGUMENT', `${device.source} is no device, nor has it any`);
  });
}

const deviceOf = ({ source, target, access }: DeviceOption, stat: Stats): AskedDevice => ({
  node: nodeOf(target, stat),
  source,
  access,
});

function devicesIn({ source, target, access }: DeviceOption): AskedDevice[] {
  return readdirSync(source).flatMap((name) => {
    const device = { source: join(source, name), target: join(target, name), access };
    const stat = lstatSync(device.source, { throwIfNoEntry: false });
    if (stat?.isDirectory()) return devicesIn(device);
    return stat && isDevice(stat) ? deviceOf(device, stat) : [];
  });
}

export const ruleOf = ({ node, access }: AskedDevice): DeviceRule =>
  rule(node.type, access, node.major, node.minor);

export const askedRule = ({ type, major, minor, access }: DeviceRuleOption): DeviceRule => ({
  allow: true,
  type,
  access,
  ...(major !== undefined && { major }),
  ...(minor !== undefined && { minor }),
});
