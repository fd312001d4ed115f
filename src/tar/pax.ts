import { sliceBytes } from '../sys/byte-string.ts';
import { parseAcl } from './acl.ts';
import type { Entry } from './entry.ts';
import { bad, parseDecimal } from './number.ts';

/**
 * What an extended header says of the next member. Texts are byte strings.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (pax Extended Header)
 */
export interface Extended {
  path?: string;
  linkPath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: { readonly seconds: number; readonly nanoseconds: number };
  xattrs?: Map<string, Uint8Array>;
  sparse?: PaxSparse;
}

/** The records of GNU's sparse formats in extended headers, versions 0.0, 0.1 and 1.0. */
export interface PaxSparse {
  major: number;
  name?: string;
  size?: number;
  /** Offset, length, offset, length … */
  map: number[];
}

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const XATTR = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';
const ACL: Readonly<Record<string, string>> = {
  'SCHILY.acl.access': 'system.posix_acl_access',
  'SCHILY.acl.default': 'system.posix_acl_default',
};

/** Numbers in a sparse map; GNU tar writes two for each run of data. */
export const MAX_MAP: number = 2 ** 17;

export function parseExtended(body: Buffer): Extended {
  const extended: Extended = {};
  for (const [key, value] of records(body)) applyRecord(extended, key, value);
  return extended;
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function* records(body: Buffer): Generator<[key: string, value: Buffer]> {
  let at = 0;
  while (at < body.length) {
    // GNU tar and others pad with NULs.
    if (body[at] === 0) return;
    const space = body.indexOf(SPACE, at);
    const digits = space < 0 || space - at > 8 ? '' : sliceBytes(body, at, space);
    const end = /^[1-9]\d*$/.test(digits) ? at + Number(digits) : 0;
    const equals = body.indexOf(EQUALS, space + 1);
    if (end <= space + 1 || end > body.length || body[end - 1] !== NEWLINE)
      throw bad('an extended header', 'has a record with a wrong length');
    if (equals < 0 || equals >= end || equals === space + 1)
      throw bad('an extended header', 'has a record without a key');
    yield [sliceBytes(body, space + 1, equals), body.subarray(equals + 1, end - 1)];
    at = end;
  }
}

function applyRecord(extended: Extended, key: string, value: Buffer): void {
  if (key.startsWith(XATTR)) setXattr(extended, key.slice(XATTR.length), value);
  else if (key.startsWith(LIBARCHIVE_XATTR)) setLibarchive(extended, key, value);
  else if (key.startsWith('GNU.sparse.'))
    applySparse(extended, key, sliceBytes(value, 0, value.length));
  else if (Object.hasOwn(ACL, key)) {
    const acl = parseAcl(sliceBytes(value, 0, value.length));
    if (acl !== undefined) setXattr(extended, ACL[key]!, acl);
  } else applyField(extended, key, sliceBytes(value, 0, value.length));
}

/** An empty value takes the record back, and the header's own field counts again. */
function applyField(extended: Extended, key: string, value: string): void {
  const empty = value === '';
  switch (key) {
    case 'path':
      setOrDelete(extended, 'path', empty ? undefined : checkedName(value));
      break;
    case 'linkpath':
      setOrDelete(extended, 'linkPath', empty ? undefined : checkedName(value));
      break;
    case 'size':
    case 'uid':
    case 'gid':
      setOrDelete(extended, key, empty ? undefined : parseDecimal(value, `the ${key}`));
      break;
    case 'mtime':
      setOrDelete(extended, 'mtime', empty ? undefined : parseTime(value));
      break;
    default:
    // uname, gname, atime, ctime, comment, hdrcharset and vendors' records change nothing here.
  }
}

function setOrDelete<Key extends keyof Extended>(
  extended: Extended,
  key: Key,
  value: Extended[Key],
): void {
  if (value === undefined) delete extended[key];
  else extended[key] = value;
}

function checkedName(value: string): string {
  if (value.includes('\0')) throw bad('a name', 'contains a NUL');
  return value;
}

/** Exact to the nanosecond, rounded down; `-1.5` is 2 seconds before 1970 plus half a second. */
export function parseTime(value: string): NonNullable<Extended['mtime']> {
  const parts = /^(-?)(\d{1,16})(?:\.(\d*))?$/.exec(value);
  if (parts === null) throw bad('the mtime', 'is not a time');
  const [, sign, whole, fraction = ''] = parts;
  const seconds = parseDecimal(whole!, 'the mtime');
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds, nanoseconds };
  if (nanoseconds === 0) return { seconds: 0 - seconds, nanoseconds };
  return { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

function setXattr(extended: Extended, name: string, value: Uint8Array): void {
  if (name === '' || name.includes('\0')) throw bad('an extended attribute', 'has no valid name');
  // The body's buffer goes on to live; values are small and kept.
  (extended.xattrs ??= new Map()).set(name, Uint8Array.from(value));
}

/** bsdtar escapes names like URLs and writes values in base 64, without padding. */
function setLibarchive(extended: Extended, key: string, value: Buffer): void {
  const name = key
    .slice(LIBARCHIVE_XATTR.length)
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  if (!extended.xattrs?.has(name))
    setXattr(extended, name, Buffer.from(value.toString('latin1'), 'base64'));
}

function applySparse(extended: Extended, key: string, value: string): void {
  const sparse = (extended.sparse ??= { major: 0, map: [] });
  switch (key.slice('GNU.sparse.'.length)) {
    case 'major':
      sparse.major = parseDecimal(value, 'the sparse format');
      break;
    case 'name':
      sparse.name = checkedName(value);
      break;
    case 'size':
    case 'realsize':
      sparse.size = parseDecimal(value, 'the size of a sparse file');
      break;
    case 'offset':
    case 'numbytes':
      sparse.map.push(parseDecimal(value, 'a sparse map'));
      break;
    case 'map':
      for (const number of value.split(',', MAX_MAP + 1))
        sparse.map.push(parseDecimal(number, 'a sparse map'));
      break;
    default:
  }
  if (sparse.map.length > MAX_MAP) throw bad('a sparse map', 'is too long');
}

export const xattrsOf = ({ xattrs }: Extended): Entry['xattrs'] =>
  xattrs && [...xattrs].map(([name, value]) => ({ name, value }));
