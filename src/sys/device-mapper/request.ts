/**
 * What a call of the device mapper takes and gives: one header, and data of variable size behind it.
 * @see include/uapi/linux/dm-ioctl.h of Linux 6.12
 */

/** `struct dm_ioctl`: where its fields are. */
const HEADER = {
  version: 0,
  dataSize: 12,
  dataStart: 16,
  targetCount: 20,
  openCount: 24,
  flags: 28,
  cookie: 32,
  dev: 40,
  name: 48,
  size: 312,
} as const;
/** `struct dm_target_spec`: start and length in sectors, status, offset of the next, type. */
const SPEC = { start: 0, length: 8, next: 20, type: 24, size: 40 } as const;
const TYPE_ROOM = 16;

/** Room for a name, the final NUL included. */
export const NAME_ROOM = 128;

export const FLAGS = {
  readonly: 0x1,
  suspend: 0x2,
  statusTable: 0x10,
  activePresent: 0x20,
  bufferFull: 0x100,
  noflush: 0x800,
  deferredRemove: 0x20000,
} as const;

/** One line of a table, or of its status. In sectors of 512 bytes. */
export interface Target {
  readonly start: number;
  readonly length: number;
  readonly type: string;
  readonly parameters: string;
}

/** What the kernel says about a device. */
export interface DeviceState {
  readonly major: number;
  readonly minor: number;
  readonly openCount: number;
  readonly isSuspended: boolean;
  readonly isReadonly: boolean;
  /** It has a table, and serves. */
  readonly isLive: boolean;
  /** It goes with its last user. */
  readonly isLeaving: boolean;
}

export interface Request {
  /** Of a device, or of a target where a call is about one; `''` where `dev` says which device. */
  readonly name: string;
  /** Device number, in the kernel's encoding. */
  readonly dev?: number;
  readonly flags?: number;
  /** Goes into the events that udev sees. */
  readonly cookie?: number;
  readonly targets?: readonly Target[];
  /** To a target of the device. */
  readonly message?: string;
  /** Bytes for the answer's data. */
  readonly room?: number;
}

/** The buffer that the call takes. */
export function encodeRequest(request: Request): Buffer {
  const { name, dev = 0, flags = 0, cookie = 0, targets = [], message, room = 0 } = request;
  const data =
    message === undefined ? Buffer.concat(targets.map(encodeTarget)) : encodeMessage(message);
  const buffer = Buffer.alloc(HEADER.size + Math.max(data.length, room));
  for (const [n, part] of [4, 0, 0].entries()) buffer.writeUInt32LE(part, HEADER.version + 4 * n);
  buffer.writeUInt32LE(buffer.length, HEADER.dataSize);
  buffer.writeUInt32LE(HEADER.size, HEADER.dataStart);
  buffer.writeUInt32LE(targets.length, HEADER.targetCount);
  buffer.writeUInt32LE(flags, HEADER.flags);
  buffer.writeUInt32LE(cookie >>> 0, HEADER.cookie);
  buffer.writeBigUInt64LE(BigInt(dev), HEADER.dev);
  if (name.length >= NAME_ROOM) throw new RangeError(`device mapper: name ${name} is too long`);
  buffer.write(name, HEADER.name, 'latin1');
  data.copy(buffer, HEADER.size);
  return buffer;
}

/** What the kernel wrote into the same buffer. */
export function decodeState(answer: Buffer): DeviceState {
  const flags = answer.readUInt32LE(HEADER.flags);
  const dev = Number(answer.readBigUInt64LE(HEADER.dev));
  return {
    major: (dev >>> 8) & 0xfff,
    minor: (dev & 0xff) | ((dev >>> 12) & 0xfff00),
    openCount: answer.readInt32LE(HEADER.openCount),
    isSuspended: (flags & FLAGS.suspend) !== 0,
    isReadonly: (flags & FLAGS.readonly) !== 0,
    isLive: (flags & FLAGS.activePresent) !== 0,
    isLeaving: (flags & FLAGS.deferredRemove) !== 0,
  };
}

/** @returns `undefined` when the room for them was too small */
export function decodeTargets(answer: Buffer): Target[] | undefined {
  if (isCutShort(answer)) return undefined;
  const base = answer.readUInt32LE(HEADER.dataStart);
  const targets: Target[] = [];
  let at = base;
  for (let left = answer.readUInt32LE(HEADER.targetCount); left > 0; left--) {
    targets.push({
      start: Number(answer.readBigUInt64LE(at + SPEC.start)),
      length: Number(answer.readBigUInt64LE(at + SPEC.length)),
      type: text(answer, at + SPEC.type, TYPE_ROOM),
      parameters: text(answer, at + SPEC.size),
    });
    // Counted from the first, in answers.
    at = base + answer.readUInt32LE(at + SPEC.next);
  }
  return targets;
}

/** Names and numbers of devices. @returns `undefined` when the room for them was too small */
export function decodeNames(answer: Buffer): string[] | undefined {
  if (isCutShort(answer)) return undefined;
  const names: string[] = [];
  let at = answer.readUInt32LE(HEADER.dataStart);
  // `struct dm_name_list`: number, offset of the next, name. One without number: there are none.
  for (;;) {
    if (answer.readBigUInt64LE(at) === 0n) return names;
    names.push(text(answer, at + 12));
    const next = answer.readUInt32LE(at + 8);
    if (next === 0) return names;
    at += next;
  }
}

const isCutShort = (answer: Buffer): boolean =>
  (answer.readUInt32LE(HEADER.flags) & FLAGS.bufferFull) !== 0;

function encodeTarget({ start, length, type, parameters }: Target): Buffer {
  const size = align(SPEC.size + Buffer.byteLength(parameters) + 1);
  const spec = Buffer.alloc(size);
  spec.writeBigUInt64LE(BigInt(start), SPEC.start);
  spec.writeBigUInt64LE(BigInt(length), SPEC.length);
  // Counted from this one, in requests.
  spec.writeUInt32LE(size, SPEC.next);
  spec.write(type, SPEC.type, TYPE_ROOM - 1, 'latin1');
  spec.write(parameters, SPEC.size);
  return spec;
}

/** `struct dm_target_msg`: the sector whose target it is for, which is the first, and the text. */
const encodeMessage = (message: string): Buffer =>
  Buffer.concat([Buffer.alloc(8), Buffer.from(`${message}\0`)]);

const align = (size: number): number => Math.ceil(size / 8) * 8;

function text(bytes: Buffer, start: number, room = bytes.length - start): string {
  const end = bytes.indexOf(0, start);
  return bytes.toString('latin1', start, end < 0 ? start + room : Math.min(end, start + room));
}
