import { MicaError } from '../errors.ts';

/** What a symbolic link or mount point of NTFS leads to. */
export interface ReparsePoint {
  /** As it is shown: `C:\Users`, `..\other`, `\\?\Volume{…}\`. */
  readonly target: string;
  /** A junction or mounted volume rather than a link. */
  readonly isMountPoint: boolean;
}

const [SYMLINK, MOUNT_POINT] = [0xa000000c, 0xa0000003];
const RELATIVE = 1;

/**
 * A `REPARSE_DATA_BUFFER`. Its target is there twice: for the kernel, and as it is shown.
 * @see https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-fscc/c3a420cb-8a72-4adf-87e8-eee95379d78f
 */
export function encodeReparsePoint({ target, isMountPoint }: ReparsePoint): Buffer {
  const kernel = kernelTarget(target);
  const names = [kernel, target].map((name) => Buffer.from(`${name}\0`, 'utf16le'));
  const fixed = isMountPoint ? 8 : 12;
  const length = fixed + names[0]!.length + names[1]!.length;
  if (length > 16_376)
    throw new MicaError('INVALID_ARGUMENT', `a link to ${target.length} characters cannot exist`);
  const head = Buffer.alloc(8 + fixed);
  head.writeUInt32LE(isMountPoint ? MOUNT_POINT : SYMLINK, 0);
  head.writeUInt16LE(length, 4);
  head.writeUInt16LE(names[0]!.length - 2, 10);
  head.writeUInt16LE(names[0]!.length, 12);
  head.writeUInt16LE(names[1]!.length - 2, 14);
  if (!isMountPoint) head.writeUInt32LE(kernel === target ? RELATIVE : 0, 16);
  return Buffer.concat([head, ...names]);
}

/** @throws INVALID_ARGUMENT for another kind of reparse point, or one that is cut off */
export function decodeReparsePoint(buffer: Buffer): ReparsePoint {
  if (buffer.length < 16) throw malformed('is too short');
  const tag = buffer.readUInt32LE(0);
  if (tag !== SYMLINK && tag !== MOUNT_POINT) throw malformed(`has the tag 0x${tag.toString(16)}`);
  const isMountPoint = tag === MOUNT_POINT;
  const start = (isMountPoint ? 16 : 20) + buffer.readUInt16LE(12);
  const end = start + buffer.readUInt16LE(14);
  if (end > buffer.length) throw malformed('ends within its target');
  return { target: buffer.toString('utf16le', start, end), isMountPoint };
}

/** In the kernel's own tree of names. What is relative stays as it is. */
function kernelTarget(target: string): string {
  if (target.startsWith('\\\\?\\')) return `\\??\\${target.slice(4)}`;
  if (target.startsWith('\\\\')) return `\\??\\UNC\\${target.slice(2)}`;
  return /^[a-z]:/i.test(target) ? `\\??\\${target}` : target;
}

const malformed = (how: string): MicaError =>
  new MicaError(
    'INVALID_ARGUMENT',
    `a reparse point ${how}; a layer's archive has symbolic links and mount points only`,
  );
