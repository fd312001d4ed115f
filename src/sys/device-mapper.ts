import { AT_FDCWD, close, O_RDWR, openat } from './at.ts';
import { addressOf, syscall } from './binding.ts';
import { errnoOf, kernelError } from './errno.ts';
import {
  decodeNames,
  decodeState,
  decodeTargets,
  type DeviceState,
  encodeRequest,
  FLAGS,
  type Request,
  type Target,
} from './device-mapper/request.ts';
import { NR } from './syscalls.ts';

export type { DeviceState, Target } from './device-mapper/request.ts';

/**
 * The kernel's device mapper, by its own calls: no program is needed. Devices are known by name; what
 * is not there is NOT_FOUND, what is in use FAILED_PRECONDITION (EBUSY).
 */

const CONTROL = '/dev/mapper/control';
/** Calls, in the order of their numbers. */
const CALL = {
  version: 0,
  list: 2,
  create: 3,
  remove: 4,
  suspend: 6,
  status: 7,
  load: 9,
  tableStatus: 12,
  message: 14,
  targetVersion: 17,
} as const;
/** What people read when one of them fails. */
const DOING: Readonly<Record<keyof typeof CALL, string>> = {
  version: 'ask for its version',
  list: 'list devices',
  create: 'create',
  remove: 'remove',
  suspend: 'suspend or resume',
  status: 'look at',
  load: 'load the table of',
  tableStatus: 'ask for the state of',
  message: 'tell a device',
  targetVersion: 'look for the target',
};
/** `_IOWR(0xfd, …, struct dm_ioctl)` without the number. */
const IOCTL = 0xc138_fd00;
/**
 * Flags for udev's rules in the upper half of a cookie: nobody looks into our devices, makes links to
 * them, or mounts them because of what their file systems say.
 */
const PRIVATE = (0x2 | 0x4 | 0x8) << 16;

/** @throws NOT_FOUND where there is no device mapper · NOT_IMPLEMENTED for another version of its calls */
export function deviceMapperVersion(): void {
  call('version', { name: '' });
}

/** Whether the kernel has targets of this type; it loads the module if there is one. */
export function hasTarget(type: string): boolean {
  try {
    call('targetVersion', { name: type, room: 512 });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') return false;
    throw error;
  }
}

/** Names of all devices. */
export const listDevices = (): string[] =>
  withRoom((room) => decodeNames(call('list', { name: '', room })));

/** `undefined` where there is no such device. */
export function findDevice(name: string): DeviceState | undefined {
  try {
    return decodeState(call('status', { name }));
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

export interface DeviceOptions {
  readonly readonly?: boolean;
}

/**
 * Makes a device that serves `targets`, or makes one complete that a crash left without a table. One
 * that serves already stays as it is.
 */
export function activateDevice(
  name: string,
  targets: readonly Target[],
  { readonly = false }: DeviceOptions = {},
): DeviceState {
  const there = findDevice(name);
  if (there?.isLive === true) {
    if (there.isLeaving) messageDevice(name, '@cancel_deferred_remove');
    return there.isSuspended ? resumeDevice(name) : there;
  }
  if (there === undefined) call('create', { name });
  try {
    call('load', { name, targets, flags: readonly ? FLAGS.readonly : 0 });
    return resumeDevice(name);
  } catch (error) {
    removeDevice(name);
    throw error;
  }
}

/** No I/O gets through any more; a file system on it is flushed first and writes nothing. */
export function suspendDevice(name: string): void {
  call('suspend', { name, flags: FLAGS.suspend });
}

export const resumeDevice = (name: string): DeviceState =>
  decodeState(call('suspend', { name, cookie: PRIVATE }));

export interface RemoveOptions {
  /** One that is in use goes as soon as that ends, instead of EBUSY. */
  readonly deferred?: boolean;
}

/** Harmless where there is none. @throws FAILED_PRECONDITION (EBUSY) for one that is in use */
export function removeDevice(name: string, { deferred = false }: RemoveOptions = {}): void {
  try {
    call('remove', { name, flags: deferred ? FLAGS.deferredRemove : 0, cookie: PRIVATE });
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

export interface StatusOptions {
  /** Default: targets write down what they have done first, so that what they say is exact. */
  readonly flushes?: boolean;
}

/** What the targets of a device say about themselves. By its number where it has another's name. */
export const deviceStatus = (
  device: string | number,
  { flushes = true }: StatusOptions = {},
): readonly Target[] => statusOf(device, flushes ? 0 : FLAGS.noflush);

/** The table of a device. */
export const deviceTable = (device: string | number): readonly Target[] =>
  statusOf(device, FLAGS.noflush | FLAGS.statusTable);

/** Says something to a target. @throws what the target makes of it; NOT_FOUND (ENODATA) for what it does not know */
export function messageDevice(device: string | number, message: string): void {
  call('message', { ...named(device), message });
}

const statusOf = (device: string | number, flags: number): Target[] =>
  withRoom((room) => decodeTargets(call('tableStatus', { ...named(device), flags, room })));

const named = (device: string | number): Pick<Request, 'name' | 'dev'> =>
  typeof device === 'string' ? { name: device } : { name: '', dev: device };

function withRoom<T>(ask: (room: number) => T | undefined): T {
  for (let room = 16 * 1024; ; room *= 4) {
    const answer = ask(room);
    if (answer !== undefined) return answer;
  }
}

/** Of devices and of what targets keep. */
const isAbsent = (error: unknown): boolean => ['ENXIO', 'ENODATA'].includes(errnoOf(error) ?? '');

function call(what: keyof typeof CALL, request: Request): Buffer {
  const control = openat(AT_FDCWD, CONTROL, O_RDWR);
  try {
    const buffer = encodeRequest(request);
    const result = syscall(NR.ioctl, control, IOCTL + CALL[what], addressOf(buffer));
    if (result < 0)
      throw kernelError(-result, `device mapper: ${DOING[what]}`, request.message ?? request.name);
    return buffer;
  } finally {
    close(control);
  }
}
