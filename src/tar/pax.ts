import { sliceBytes } from '../sys/byte-string.ts';
import { isMinimal, parseAcl, permissionsOf } from './acl.ts';
import type { Entry } from './entry.ts';
import { bad, parseDecimal } from './number.ts';
import { addNumber } from './sparse.ts';

/**
 * What an extended header says of the next member. Texts are byte strings.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (pax Extended Header)
 */
export class Extended {
  path: string | undefined = undefined;
  linkPath: string | undefined = undefined;
  size: number | undefined = undefined;
  uid: number | undefined = undefined;
  gid: number | undefined = undefined;
  mtime: Time | undefined = undefined;
  deviceMajor: number | undefined = undefined;
  deviceMinor: number | undefined = undefined;
  /** Of an access control list: the lower nine bits of the mode. */
  permissions: number | undefined = undefined;
  xattrs: Map<string, Uint8Array> | undefined = undefined;
  sparse: PaxSparse | undefined = undefined;
  windows: Map<string, string> | undefined = undefined;
}

export interface Time {
  readonly seconds: number;
  /** 0 to 999,999,999, always added. */
  readonly nanoseconds: number;
}

/** The records of GNU's sparse formats in extended headers, versions 0.0, 0.1 and 1.0. */
export interface PaxSparse {
  version: string;
  name: string | undefined;
  /** Of the file, holes included. */
  size: number | undefined;
  numbers: number[];
}

const [SPACE, ZERO, EQUALS, NEWLINE] = [0x20, 0x30, 0x3d, 0x0a];

/** Reads `<length> <key>=<value>\n` until the end, where each length counts itself. */
export function parseExtended(body: Buffer): Extended {
  const extended = new Extended();
  let at = 0;
  // Some writers fill the rest with NULs.
  while (at < body.length && body[at] !== 0) {
    let length = 0;
    let space = at;
    while (space < body.length && body[space] !== SPACE) {
      const digit = body[space++]! - ZERO;
      length = digit < 0 || digit > 9 ? Infinity : length * 10 + digit;
    }
    const end = at + length;
    if (end <= space + 1 || end > body.length || body[end - 1] !== NEWLINE)
      throw bad('an extended header', 'has a record with a wrong length');
    const equals = body.indexOf(EQUALS, space + 1);
    if (equals <= space + 1 || equals >= end)
      throw bad('an extended header', 'has a record without a key');
    apply(extended, sliceBytes(body, space + 1, equals), body.subarray(equals + 1, end - 1));
    at = end;
  }
  return extended;
}

/** An empty value takes a record back, and the header's own field counts again. */
function apply(extended: Extended, key: string, value: Buffer): void {
  const number = (): number | undefined =>
    value.length === 0 ? undefined : parseDecimal(textOf(value), `the ${key}`);
  const name = (): string | undefined => (value.length === 0 ? undefined : nameOf(value));
  switch (key) {
    case 'path':
      extended.path = name();
      break;
    case 'linkpath':
      extended.linkPath = name();
      break;
    case 'size':
      extended.size = number();
      break;
    case 'uid':
      extended.uid = number();
      break;
    case 'gid':
      extended.gid = number();
      break;
    case 'mtime':
      extended.mtime = value.length === 0 ? undefined : parseTime(textOf(value));
      break;
    case 'SCHILY.devmajor':
      extended.deviceMajor = number();
      break;
    case 'SCHILY.devminor':
      extended.deviceMinor = number();
      break;
    default:
      // Owners' names, other times, comments and character sets change nothing here.
      if (key.includes('.')) applyVendor(extended, key, value);
  }
}

const XATTR = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';
const SPARSE = 'GNU.sparse.';
const WINDOWS = 'MSWINDOWS.';
const CREATION_TIME = 'LIBARCHIVE.creationtime';

function applyVendor(extended: Extended, key: string, value: Buffer): void {
  if (key.startsWith(XATTR)) setXattr(extended, attributeName(extended, key), value);
  else if (key.startsWith(LIBARCHIVE_XATTR)) {
    // The same attribute may be there in both spellings; this one counts less.
    const name = decodeUrl(key.slice(LIBARCHIVE_XATTR.length));
    addXattr(extended, name, Buffer.from(textOf(value), 'base64'));
  } else if (key.startsWith(SPARSE)) applySparse(extended, key.slice(SPARSE.length), value);
  else if (key.startsWith('SCHILY.acl.')) applyAcl(extended, key, value);
  else if (key.startsWith(WINDOWS) || key === CREATION_TIME) applyWindows(extended, key, value);
  else if (key === 'RHT.security.selinux' && value.length > 0)
    // As the kernel has it: with the NUL of a C string.
    addXattr(extended, 'security.selinux', Buffer.concat([value, new Uint8Array(1)]));
}

function applyWindows(extended: Extended, key: string, value: Buffer): void {
  if (value.length === 0) extended.windows?.delete(key);
  else (extended.windows ??= new Map()).set(key, textOf(value));
}

/** Lists in the form of the kernel, as attributes, count more. */
function applyAcl(extended: Extended, key: string, value: Buffer): void {
  const acl = parseAcl(textOf(value));
  if (acl === undefined) return;
  if (key === 'SCHILY.acl.default') addXattr(extended, 'system.posix_acl_default', acl);
  else if (key === 'SCHILY.acl.access' && !isMinimal(acl)) {
    addXattr(extended, 'system.posix_acl_access', acl);
    extended.permissions = permissionsOf(acl);
  }
}

const textOf = (value: Buffer): string => sliceBytes(value, 0, value.length);

function nameOf(value: Buffer): string {
  const name = textOf(value);
  if (name.includes('\0')) throw bad('a name', 'contains a NUL');
  return name;
}

function addXattr(extended: Extended, name: string, value: Uint8Array): void {
  if (!extended.xattrs?.has(name)) setXattr(extended, name, value);
}

function setXattr(extended: Extended, name: string, value: Uint8Array): void {
  if (name === '' || name.includes('\0')) throw bad('an extended attribute', 'has no valid name');
  // Copied: the header's buffer is used again.
  (extended.xattrs ??= new Map()).set(name, new Uint8Array(value));
}

/**
 * GNU tar escapes what would end the key, and nothing else. bsdtar escapes names like URLs, but
 * writes the attribute in its own spelling, too, and before.
 */
function attributeName({ xattrs }: Extended, key: string): string {
  const name = key.slice(XATTR.length);
  if (!name.includes('%')) return name;
  const decoded = decodeUrl(name);
  return xattrs?.has(decoded) ? decoded : name.replaceAll('%3D', '=').replaceAll('%25', '%');
}

const decodeUrl = (name: string): string =>
  name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );

function applySparse(extended: Extended, key: string, value: Buffer): void {
  const sparse = (extended.sparse ??= {
    version: '',
    name: undefined,
    size: undefined,
    numbers: [],
  });
  const number = (): number => parseDecimal(textOf(value), `GNU.sparse.${key}`);
  switch (key) {
    case 'major':
      sparse.version = `${number()}.${sparse.version.split('.')[1] ?? '0'}`;
      break;
    case 'minor':
      sparse.version = `${sparse.version.split('.')[0] || '0'}.${number()}`;
      break;
    case 'name':
      sparse.name = nameOf(value);
      break;
    case 'size':
    case 'realsize':
      sparse.size = number();
      break;
    case 'offset':
    case 'numbytes':
      addNumber(sparse.numbers, number());
      break;
    case 'map':
      sparse.numbers = [];
      for (const text of value.length === 0 ? [] : textOf(value).split(','))
        addNumber(sparse.numbers, parseDecimal(text, 'a sparse map'));
      break;
    default:
    // The number of runs: it is counted.
  }
}

/** Exact to the nanosecond, rounded down: `-1.5` is 2 seconds before 1970 plus half a second. */
export function parseTime(text: string): Time {
  const dot = text.indexOf('.');
  const [whole, fraction] = dot < 0 ? [text, ''] : [text.slice(0, dot), text.slice(dot + 1)];
  const seconds = parseDecimal(whole, 'the mtime');
  if (fraction !== '' && !/^\d+$/.test(fraction)) throw bad('the mtime', 'is not a time');
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (!whole.startsWith('-')) return { seconds, nanoseconds };
  const before = nanoseconds + Number(/[1-9]/.test(fraction.slice(9)));
  if (before === 0) return { seconds: 0 + seconds, nanoseconds: 0 };
  return { seconds: seconds - 1, nanoseconds: 1e9 - before };
}

export const xattrsOf = ({ xattrs }: Extended): Entry['xattrs'] =>
  xattrs && [...xattrs].map(([name, value]) => ({ name, value }));
