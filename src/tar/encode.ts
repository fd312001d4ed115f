import { isUtf8 } from 'node:buffer';
import { MicaError } from '../errors.ts';
import { printable, writeBytes } from '../sys/byte-string.ts';
import type { Entry } from './entry.ts';
import { Block, BLOCK, paddingOf } from './header.ts';
import { bad, writeOctal } from './number.ts';

/** A member to write; its data come separately. */
export type NewEntry = Omit<Entry, 'dataOffset' | 'dataSize'>;

/** As character codes. */
const TYPEFLAGS: Readonly<Record<Entry['type'], number>> = {
  file: 0x30,
  link: 0x31,
  symlink: 0x32,
  char: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
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

/** What readers take of one extended header, Go's archive/tar and ours among them. In bytes. */
const MOST_EXTENDED = 2 ** 20;

/** Where a header is made, before it is known what has to stand before it. */
const HEADER = new Block();
/** That of an extended header, which says the same every time but for its name, its size and its sum. */
const EXTENDED = new Block();
/** What all headers have: ustar's magic and version, and no device. */
const COMMON = Buffer.alloc(BLOCK);
COMMON.write('ustar\u000000', 257, 'latin1');
for (const offset of [329, 337]) writeOctal(COMMON, offset, 8, 0);
EXTENDED.bytes.set(COMMON);
EXTENDED.bytes[156] = 'x'.charCodeAt(0);
for (const [offset, length, value] of [
  [100, 8, 0o644],
  [108, 8, 0],
  [116, 8, 0],
  [136, 12, 0],
] as const)
  writeOctal(EXTENDED.bytes, offset, length, value);

function withRecords(entry: NewEntry, name: string, size: number, records: Records): Buffer {
  encodeHeader(entry, { name, size, records });
  if (records.size === 0) return Buffer.from(HEADER.bytes);
  // The standard wants to know what is not UTF-8; most readers do not care.
  if (TEXTS.some((key) => !isText(records.get(key)))) records.set('hdrcharset', 'BINARY');
  const body = [...records]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => record(key, value))
    .join('');
  if (body.length > MOST_EXTENDED)
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `tar: ${printable(entry.name.slice(0, 300))} has ${body.length} bytes of extended attributes and names, and readers take ${MOST_EXTENDED} of one file; remove some of its attributes`,
    );
  const end = BLOCK + body.length + paddingOf(body.length);
  // One piece of memory for a member: their number is what writing an archive costs.
  const member = Buffer.allocUnsafe(end + BLOCK);
  encodeExtended(name, body.length);
  member.set(EXTENDED.bytes);
  writeBytes(member, body, BLOCK);
  member.fill(0, BLOCK + body.length, end);
  member.set(HEADER.bytes, end);
  return member;
}

const TEXTS = ['path', 'linkpath', 'GNU.sparse.name'];
const isText = (value: string | undefined): boolean =>
  value === undefined || isUtf8(Buffer.from(value, 'latin1'));

interface HeaderValues {
  readonly name: string;
  readonly size: number;
  readonly records: Records;
}

/** Makes the header, and in `records` what of the member does not fit into it. */
function encodeHeader(entry: NewEntry, { name, size, records }: HeaderValues): void {
  const { linkName, mode, uid, gid, mtime, mtimeNs, xattrs } = entry;
  const block = HEADER.bytes;
  block.set(COMMON);
  if (!writeName(block, checkedName(name))) records.set('path', name);
  if (linkName.length > 100) records.set('linkpath', checkedName(linkName));
  writeBytes(block, linkName.slice(0, 100), 157);
  writeOctal(block, 100, 8, mode & 0o7777);
  if (!writeCount(block, 108, 8, uid, 'the uid')) records.set('uid', String(uid));
  if (!writeCount(block, 116, 8, gid, 'the gid')) records.set('gid', String(gid));
  if (!writeCount(block, 124, 12, size, 'the size')) records.set('size', String(size));
  if (!Number.isSafeInteger(mtime)) throw bad('the mtime', `cannot be ${mtime}`);
  if (!writeOctal(block, 136, 12, mtime) || mtimeNs !== 0)
    records.set('mtime', timeText(mtime, mtimeNs));
  if (xattrs !== undefined)
    for (const { name: xattr, value } of xattrs)
      records.set(`SCHILY.xattr.${escape(xattr)}`, Buffer.from(value).toString('latin1'));
  block[156] = TYPEFLAGS[entry.type];
  writeDevice(block, entry);
  writeSum(HEADER);
}

/** A constant name: what some readers would extract, and nobody should rely on. */
function encodeExtended(name: string, size: number): void {
  const block = EXTENDED.bytes;
  let end = name.length;
  while (end > 0 && name.charCodeAt(end - 1) === SLASH) end--;
  const base = name.slice(name.lastIndexOf('/', end - 1) + 1, end);
  block.fill(0, 0, 100);
  writeBytes(block, `PaxHeaders/${base}`.slice(0, 99), 0);
  writeOctal(block, 124, 12, size);
  writeSum(EXTENDED);
}

const SLASH = 0x2f;
const SPACE = 0x20;

/** @returns whether it fits */
function writeCount(
  block: Buffer,
  offset: number,
  length: number,
  value: number,
  what: string,
): boolean {
  if (!Number.isSafeInteger(value) || value < 0) throw bad(what, `cannot be ${value}`);
  return writeOctal(block, offset, length, value);
}

function writeDevice(
  block: Buffer,
  { deviceMajor, deviceMinor }: Pick<Entry, 'deviceMajor' | 'deviceMinor'>,
): void {
  if (deviceMajor === 0 && deviceMinor === 0) return;
  if (!writeOctal(block, 329, 8, deviceMajor) || !writeOctal(block, 337, 8, deviceMinor))
    throw bad('the device number', `cannot be ${deviceMajor}:${deviceMinor}`);
}

/** Six digits, a NUL and a space; while it is taken, the field counts as spaces. */
function writeSum(block: Block): void {
  const { bytes } = block;
  bytes.fill(SPACE, 148, 156);
  writeOctal(bytes, 148, 7, block.sum());
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
  let [digits, rest] = [9, fraction];
  for (; digits > 1 && rest % 10 === 0; rest /= 10) digits--;
  return `${isBefore ? '-' : ''}${whole}.${String(rest).padStart(digits, '0')}`;
}
