import { isUtf8 } from 'node:buffer';
import { writeBytes } from '../sys/byte-string.ts';
import type { Entry } from './entry.ts';
import { BLOCK, checksumOf, paddingOf } from './header.ts';
import { bad, writeOctal } from './number.ts';

/** A member to write; its data come separately. */
export type NewEntry = Omit<Entry, 'dataOffset' | 'dataSize'>;

const TYPEFLAGS: Readonly<Record<Entry['type'], string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** Records of an extended header, by key. Byte strings. */
type Records = Map<string, string>;

/** What stands before the data of `entry`, in whole blocks. @param size - of the data */
export function encodeMember(entry: NewEntry, name: string, size: number): Buffer {
  return withRecords(entry, name, size, new Map());
}

/** The same for a sparse file in GNU's format 1.0. @param map - counts as data */
export function encodeSparse(entry: NewEntry, stored: number, map: Buffer): Buffer {
  const { name, size } = entry;
  const records = new Map([
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.name', name],
    ['GNU.sparse.realsize', String(size)],
  ]);
  // As GNU tar names it for readers that do not know sparse files.
  const slash = name.lastIndexOf('/');
  const plain = `${slash < 0 ? '.' : name.slice(0, slash)}/GNUSparseFile.0/${name.slice(slash + 1)}`;
  return Buffer.concat([withRecords(entry, plain, map.length + stored, records), map]);
}

/** Where a header is made, before it is known what has to stand before it. */
const HEADER = Buffer.alloc(BLOCK);

function withRecords(entry: NewEntry, name: string, size: number, records: Records): Buffer {
  encodeHeader(HEADER.fill(0), entry, { name, size, records });
  if (records.size === 0) return Buffer.from(HEADER);
  const texts = ['path', 'linkpath', 'GNU.sparse.name'].map((key) => records.get(key) ?? '');
  // The standard wants to know what is not UTF-8; most readers do not care.
  if (texts.some((text) => !isUtf8(Buffer.from(text, 'latin1'))))
    records.set('hdrcharset', 'BINARY');
  const sorted = [...records].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const body = sorted.map(([key, value]) => record(key, value)).join('');
  const end = BLOCK + body.length + paddingOf(body.length);
  // One piece of memory for a member: their number is what writing an archive costs.
  const member = Buffer.allocUnsafe(end + BLOCK).fill(0);
  encodeExtended(member, name, body.length);
  writeBytes(member, body, BLOCK);
  HEADER.copy(member, end);
  return member;
}

interface HeaderValues {
  readonly name: string;
  readonly size: number;
  readonly records: Records;
}

/** The header, and in `records` what of the member does not fit into it. @param block - of zeros */
function encodeHeader(block: Buffer, entry: NewEntry, { name, size, records }: HeaderValues): void {
  const { linkName, mode, uid, gid, mtime, mtimeNs } = entry;
  if (!writeName(block, checkedName(name))) records.set('path', name);
  if (linkName.length > 100) records.set('linkpath', checkedName(linkName));
  writeBytes(block, linkName.slice(0, 100), 157);
  for (const [key, offset, length, value] of [
    ['uid', 108, 8, uid],
    ['gid', 116, 8, gid],
    ['size', 124, 12, size],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < 0) throw bad(`the ${key}`, `cannot be ${value}`);
    if (!writeOctal(block, offset, length, value)) records.set(key, String(value));
  }
  if (!Number.isSafeInteger(mtime)) throw bad('the mtime', `cannot be ${mtime}`);
  if (!writeOctal(block, 136, 12, mtime) || mtimeNs !== 0)
    records.set('mtime', timeText(mtime, mtimeNs));
  for (const { name: xattr, value } of entry.xattrs ?? [])
    records.set(`SCHILY.xattr.${escape(xattr)}`, Buffer.from(value).toString('latin1'));
  writeOctal(block, 100, 8, mode & 0o7777);
  finish(block, TYPEFLAGS[entry.type], entry);
}

/** A constant name: what some readers would extract, and nobody should rely on. */
function encodeExtended(block: Buffer, name: string, size: number): void {
  const base = name.replace(/\/+$/, '').split('/').at(-1);
  writeBytes(block, `PaxHeaders/${base}`.slice(0, 99), 0);
  for (const offset of [108, 116]) writeOctal(block, offset, 8, 0);
  writeOctal(block, 100, 8, 0o644);
  writeOctal(block, 124, 12, size);
  writeOctal(block, 136, 12, 0);
  finish(block, 'x', NO_DEVICE);
}

const NO_DEVICE = { deviceMajor: 0, deviceMinor: 0 };

function finish(
  block: Buffer,
  typeflag: string,
  { deviceMajor, deviceMinor }: Pick<Entry, 'deviceMajor' | 'deviceMinor'>,
): void {
  block.write(typeflag, 156, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  if (!writeOctal(block, 329, 8, deviceMajor) || !writeOctal(block, 337, 8, deviceMinor))
    throw bad('the device number', `cannot be ${deviceMajor}:${deviceMinor}`);
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

/** In 100 bytes, or split at a slash into 155 and 100. */
function writeName(block: Buffer, name: string): boolean {
  const slash = name.length <= 100 ? -1 : name.indexOf('/', name.length - 101);
  const isSplit = slash > 0 && slash <= 155 && slash < name.length - 1;
  writeBytes(block, isSplit ? name.slice(slash + 1) : name.slice(0, 100), 0);
  if (isSplit) writeBytes(block, name.slice(0, slash), 345);
  return isSplit || name.length <= 100;
}

function checkedName(name: string): string {
  if (name === '' || name.includes('\0')) throw bad('a name', 'is empty or contains a NUL');
  return name;
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length;
  return `${length}${rest}`;
}

/** As GNU tar does, since a key ends at the first `=`. */
const escape = (name: string): string => name.replaceAll('%', '%25').replaceAll('=', '%3D');

function timeText(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const isBefore = seconds < 0;
  const whole = isBefore ? -seconds - 1 : seconds;
  const fraction = isBefore ? 1e9 - nanoseconds : nanoseconds;
  const digits = String(fraction).padStart(9, '0').replace(/0+$/, '');
  return `${isBefore ? '-' : ''}${whole}.${digits}`;
}
