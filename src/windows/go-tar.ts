import { BLOCK, checksumOf, paddingOf } from '../tar/header.ts';

/**
 * A member as Go's archive/tar writes it in pax format. That is what every exporter of Windows
 * layers is built on, so the same files give the same digest here and there.
 */
export interface GoMember {
  /** Byte string. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link';
  /** All of it: type bits included, where the exporter sets them. */
  readonly mode: number;
  readonly size: number;
  readonly linkName?: string | undefined;
  readonly mtime: GoTime;
  /** Byte strings. */
  readonly records: ReadonlyMap<string, string>;
}

export interface GoTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

const FLAGS = { file: '0', link: '1', symlink: '2', directory: '5' } as const;

/** The blocks before a member's data. */
export function encodeGoMember(member: GoMember): Buffer {
  const { name, linkName = '', mtime, size } = member;
  const records = new Map(member.records);
  if (!fits(name)) records.set('path', name);
  if (!fits(linkName)) records.set('linkpath', linkName);
  if (size >= 8 ** 11) records.set('size', String(size));
  const inOctal = mtime.seconds >= 0 && mtime.seconds < 8 ** 11;
  if (!inOctal || mtime.nanoseconds !== 0) records.set('mtime', goTimeText(mtime));
  const block = ustar({
    name: asciiOf(name),
    flag: FLAGS[member.type],
    mode: member.mode,
    size: size >= 8 ** 11 ? 0 : size,
    mtime: inOctal ? mtime.seconds : 0,
    linkName: asciiOf(linkName),
  });
  if (records.size === 0) return block;
  const sorted = [...records].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const body = Buffer.from(sorted.map(([key, value]) => record(key, value)).join(''), 'latin1');
  const slash = name.lastIndexOf('/') + 1;
  const extended = `${name.slice(0, slash)}PaxHeaders.0/${name.slice(slash)}`;
  const before = ustar({
    name: asciiOf(extended).slice(0, 100).replace(/\/+$/, ''),
    flag: 'x',
    mode: 0,
    size: body.length,
    mtime: 0,
    linkName: '',
  });
  return Buffer.concat([before, body, Buffer.alloc(paddingOf(body.length)), block]);
}

/** Seconds since 1970, without zeros at the end. */
export function goTimeText({ seconds, nanoseconds }: GoTime): string {
  if (nanoseconds === 0) return String(seconds);
  const isBefore = seconds < 0;
  const whole = isBefore ? -(seconds + 1) : seconds;
  const fraction = isBefore ? 1e9 - nanoseconds : nanoseconds;
  const digits = String(fraction).padStart(9, '0').replace(/0+$/, '');
  return `${isBefore ? '-' : ''}${whole}.${digits}`;
}

const fits = (name: string): boolean => name.length <= 100 && asciiOf(name) === name;

// oxlint-disable-next-line no-control-regex -- what is no ASCII
const asciiOf = (name: string): string => name.replace(/[^\u0001-\u007f]/g, '');

interface Ustar {
  readonly name: string;
  readonly flag: string;
  readonly mode: number;
  readonly size: number;
  readonly mtime: number;
  readonly linkName: string;
}

function ustar({ name, flag, mode, size, mtime, linkName }: Ustar): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, offset: number, length: number): number =>
    block.write(value.toString(8).padStart(length - 1, '0'), offset, 'latin1');
  block.write(name.slice(0, 100), 0, 'latin1');
  // Readers of old formats would take a file whose name is cut off there for a directory.
  if (name.length > 100 && name[99] === '/')
    block[name.slice(0, 100).replace(/\/+$/, '').length] = 0;
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(mtime, 136, 12);
  block.write(flag, 156, 'latin1');
  block.write(linkName.slice(0, 100), 157, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  if (flag !== 'x') for (const offset of [329, 337]) octal(0, offset, 8);
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length;
  return `${length}${rest}`;
}
