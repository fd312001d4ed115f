import { MicaError } from '../errors.ts';
import { printable } from '../sys/byte-string.ts';
import type { Entry } from '../tar/entry.ts';
import { type ExtendedAttribute, encodeAttributes } from './extended-attributes.ts';
import { encodeReparsePoint } from './reparse-point.ts';
import { STREAM, streamHeader } from './backup-stream.ts';

/** Bits of a file's attributes. @see https://learn.microsoft.com/en-us/windows/win32/fileio/file-attribute-constants */
export const ATTRIBUTE = { directory: 0x10, archive: 0x20, reparsePoint: 0x400 } as const;

/** What a file of Windows has that no other system's files have. */
export interface FileFacts {
  readonly attributes: number;
  /** Self-relative. */
  readonly security: Buffer | undefined;
  readonly extended: readonly ExtendedAttribute[];
  /** Of a symbolic link or mount point: its `REPARSE_DATA_BUFFER`. */
  readonly reparse: Buffer | undefined;
}

const EXTENDED = 'MSWINDOWS.xattr.';

/**
 * What an archive's records say of one member.
 * @throws INVALID_ARGUMENT for records that mean nothing; NOT_IMPLEMENTED for a security descriptor
 * as text, which images before 2016 have
 */
export function factsOf(entry: Entry): FileFacts {
  const { windows } = entry;
  if (windows?.has('MSWINDOWS.sd') && !windows.has('MSWINDOWS.rawsd'))
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `${shown(entry)}: its security descriptor is text (MSWINDOWS.sd), which only Windows can read; use an image made after 2016`,
    );
  const raw = windows?.get('MSWINDOWS.rawsd');
  return {
    attributes: attributesOf(entry),
    security: raw === undefined ? undefined : securityOf(entry, raw),
    extended: [...(windows ?? [])]
      .filter(([key]) => key.startsWith(EXTENDED))
      .map(([key, value]) => ({
        name: key.slice(EXTENDED.length),
        value: decode(entry, key, value),
      }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    reparse: entry.type === 'symlink' ? reparseOf(entry) : undefined,
  };
}

/** Its streams before the data, in the order in which Windows wants them back. */
export function leadingStreams({ security, extended, reparse }: FileFacts): Buffer {
  const parts: Buffer[] = [];
  const add = (id: number, content: Buffer): void =>
    void parts.push(streamHeader(id, content.length), content);
  if (security !== undefined) add(STREAM.security, security);
  if (extended.length > 0) add(STREAM.extendedAttributes, encodeAttributes(extended));
  if (reparse !== undefined) add(STREAM.reparse, reparse);
  return Buffer.concat(parts);
}

function attributesOf(entry: Entry): number {
  const text = entry.windows?.get('MSWINDOWS.fileattr');
  if (text === undefined) return entry.type === 'directory' ? ATTRIBUTE.directory : 0;
  const attributes = Number(text);
  if (!/^\d{1,10}$/.test(text) || attributes > 0xffff_ffff)
    throw wrong(entry, 'MSWINDOWS.fileattr', 'is no number of 32 bits');
  if (entry.type === 'directory' && (attributes & ATTRIBUTE.directory) === 0)
    throw wrong(entry, 'MSWINDOWS.fileattr', 'says that the directory is none');
  if (entry.type === 'file' && (attributes & ATTRIBUTE.directory) !== 0)
    throw wrong(entry, 'MSWINDOWS.fileattr', 'says that the file is a directory');
  return attributes;
}

/** The kernel reads it by its own offsets: they must stay inside. */
function securityOf(entry: Entry, text: string): Buffer {
  const security = decode(entry, 'MSWINDOWS.rawsd', text);
  const isSound =
    security.length >= 20 &&
    security[0] === 1 &&
    [4, 8, 12, 16].every((at) => {
      const offset = security.readUInt32LE(at);
      return offset === 0 || (offset >= 20 && offset + 8 <= security.length);
    });
  if (!isSound) throw wrong(entry, 'MSWINDOWS.rawsd', 'is no self-relative security descriptor');
  return security;
}

function reparseOf({ linkName, windows }: Entry): Buffer {
  const target = Buffer.from(linkName, 'latin1').toString().replaceAll('/', '\\');
  return encodeReparsePoint({
    target,
    isMountPoint: windows?.has('MSWINDOWS.mountpoint') === true,
  });
}

function decode(entry: Entry, key: string, text: string): Buffer {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0)
    throw wrong(entry, key, 'is not base64');
  return Buffer.from(text, 'base64');
}

const shown = ({ name }: Entry): string => printable(name.slice(0, 300));

const wrong = (entry: Entry, key: string, how: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `${shown(entry)}: its record ${key.slice(0, 100)} ${how}`);
