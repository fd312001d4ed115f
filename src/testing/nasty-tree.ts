import {
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { S_IFBLK, S_IFCHR, S_IFIFO } from '../erofs/node.ts';
import * as at from '../sys/at.ts';
import { setXattr } from '../sys/xattr.ts';

export interface TreeLimits {
  /** The largest number of an owner. */
  readonly mostOwner?: number | undefined;
  /** In seconds since 1970. */
  readonly lastTime?: number | undefined;
}

/**
 * Makes files in the empty directory `path` that hold every kind of difficulty that a file system can
 * show and GNU tar can pack. Needs root.
 * @param limits - of the file system
 */
export function makeNastyTree(path: string, limits: TreeLimits = {}): void {
  const fd = openSync(path, 'r');
  try {
    makeFiles(path);
    makeHoles(path);
    makeNames(path, fd);
    makeLinks(path, fd);
    setAttributes(path, fd, limits);
    setTimes(fd, limits);
  } finally {
    closeSync(fd);
  }
}

/** Text that is the same nowhere, so that data from a wrong place show. */
export function text(length: number, seed: number = length): Buffer {
  const words = Buffer.alloc(Math.ceil(length / 8) * 8);
  for (let i = 0; i < words.length; i += 8)
    words.writeBigUInt64LE((0x9e3779b97f4a7c15n * BigInt(seed + i + 1)) & 0xffffffffffffffffn, i);
  return words.subarray(0, length);
}

function makeFiles(path: string): void {
  for (const name of ['sizes', 'types', 'x', 'holes', 'names', 'links', 'times', 'many'])
    mkdirSync(`${path}/${name}`);
  for (const size of [0, 1, 511, 512, 513, 1023, 4095, 4096, 4097, 65_536, 300_001])
    writeFileSync(`${path}/sizes/${size}`, text(size));
  for (let i = 0; i < 700; i++)
    writeFileSync(`${path}/many/${'n'.repeat(i % 90)}${i}`, i % 5 === 0 ? text(i) : '');
}

/** Data at `runs` in a file of `size` bytes, at multiples of what any file system keeps as a hole. */
function sparse(path: string, size: number, runs: readonly (readonly [number, number])[]): void {
  const fd = openSync(path, 'w');
  for (const [offset, length] of runs) writeSync(fd, text(length, offset), 0, length, offset);
  ftruncateSync(fd, size);
  closeSync(fd);
}

function makeHoles(path: string): void {
  const unit = 65_536;
  const many = Array.from({ length: 80 }, (_, i) => [2 * i * unit, 100 + i] as const);
  sparse(`${path}/holes/all`, 5 * unit + 7, []);
  sparse(`${path}/holes/first`, 3 * unit, [[unit, 2 * unit]]);
  sparse(`${path}/holes/last`, 3 * unit + 1, [[0, unit]]);
  sparse(`${path}/holes/middle`, 4 * unit, [
    [0, 5000],
    [2 * unit, unit],
    [3 * unit + 4096, 99],
  ]);
  sparse(`${path}/holes/many`, 160 * unit, many);
  sparse(`${path}/holes/end`, 9 * unit + 10, [[9 * unit, 10]]);
}

/** Byte strings. */
const NAMES = [
  'n'.repeat(255),
  '\xff\xfe not UTF-8 \x80',
  'caf\xc3\xa9',
  'new\nline',
  'tab\there',
  'back\\slash',
  'quo"te\'s',
  ' ',
  '-rf',
  '...',
  '.hidden',
  '\x01',
  '%41',
];

function makeNames(path: string, fd: number): void {
  const names = openSync(`${path}/names`, 'r');
  for (const name of NAMES) at.close(at.openat(names, name, at.O_CREAT | at.O_WRONLY, 0o640));
  closeSync(names);
  const deep = `${path}/names/${Array.from({ length: 60 }, (_, i) => `level-${i}`).join('/')}`;
  mkdirSync(deep, { recursive: true });
  writeFileSync(`${deep}/bottom`, 'deep');
  at.mknodat(fd, 'types/null', S_IFCHR | 0o666, at.makedev(1, 3));
  at.mknodat(fd, 'types/minor', S_IFCHR | 0o600, at.makedev(4095, 1_048_575));
  at.mknodat(fd, 'types/disk', S_IFBLK | 0o660, at.makedev(259, 70_000));
  at.mknodat(fd, 'types/pipe', S_IFIFO | 0o604);
}

function makeLinks(path: string, fd: number): void {
  for (const length of [1, 60, 100, 101, 400, 448, 449, 511, 512, 513, 1024, 2000, 4095])
    at.symlinkat('t'.repeat(length), fd, `links/${length}`);
  at.symlinkat('../\xff\x01\n', fd, 'links/bytes');
  symlinkSync('/etc/passwd', `${path}/links/absolute`);
  linkSync(`${path}/sizes/300001`, `${path}/links/hard`);
  linkSync(`${path}/sizes/300001`, `${path}/many/also hard`);
  linkSync(`${path}/sizes/0`, `${path}/links/empty`);
  linkSync(`${path}/links/4095`, `${path}/many/second name of a link`);
  linkSync(`${path}/types/pipe`, `${path}/types/pipe2`);
  linkSync(`${path}/types/disk`, `${path}/names/disk`);
}

const hex = (digits: string): Buffer => Buffer.from(digits, 'hex');
const CAPABILITY = hex('0100000200040000000000000000000000000000');
/** user::rwx, user:70000:r--, group::r-x, mask::rwx, other::r--. */
const ACL = hex(
  '0200000001000700ffffffff020004007011010004000500ffffffff10000700ffffffff20000400ffffffff',
);

function setAttributes(path: string, fd: number, { mostOwner = 4_294_967_294 }: TreeLimits): void {
  const set = (name: string, key: string, value: Uint8Array | string): void =>
    setXattr({ dirfd: fd, name }, key, typeof value === 'string' ? Buffer.from(value) : value);
  for (let i = 0; i < 40; i++) {
    writeFileSync(`${path}/x/${i}`, '');
    set(`x/${i}`, 'user.the-same', 'on forty files');
    set(`x/${i}`, `user.only-${i}`, text(i * 3));
  }
  for (let i = 0; i < 30; i++) set('x/1', `trusted.${'many'.repeat(i % 5)}${i}`, text(i));
  set('x/2', 'user.large', text(2500));
  set('x/3', 'user.empty', '');
  set('x/3', `user.${'k'.repeat(200)}`, hex('000a3d'));
  set('x/4', 'security.capability', CAPABILITY);
  set('x/5', 'system.posix_acl_access', ACL);
  set('x', 'system.posix_acl_default', ACL);
  set('links/60', 'trusted.on-a-link', 'yes');
  set('types/null', 'trusted.on-a-device', 'yes');
  set('many', 'user.directory', 'yes');
  for (const [name, uid, gid] of OWNERS)
    lchownSync(`${path}/${name}`, Math.min(uid, mostOwner), Math.min(gid, mostOwner));
  set('x/4', 'security.capability', CAPABILITY);
  for (const [name, mode] of MODES) at.fchmodat(fd, name, mode);
}

const OWNERS = [
  ['x/4', 65_535, 65_535],
  ['x/6', 65_536, 65_536],
  ['x/7', 4_294_967_294, 4_294_967_294],
  ['x/8', 2_097_151, 2_097_152],
  ['links/1', 70_000, 1],
  ['types/disk', 1, 70_000],
] as const;

const MODES = [
  ['x/9', 0o6755],
  ['x/10', 0],
  ['x/11', 0o4711],
  ['many', 0o1777],
  ['links', 0o2755],
  ['sizes/0', 0o7777],
] as const;

/** Directories last: what is made in them changes their times. */
const TIMES = [
  ['times/now', 1_700_000_000, 123_456_789],
  ['times/ns', 1, 1],
  ['times/before', -1, 999_999_999],
  ['times/long before', -2_000_000_000, 1],
  ['times/epoch', 0, 0],
  ['times/last', 2_147_483_647, 999_999_999],
  ['times/2038', 2_147_483_648, 5],
  ['times/2106', 4_294_967_296, 7],
  ['times/2400', 13_569_465_600, 500_000_000],
  ['links/1', 1_234_567_890, 987_654_321],
  ['types/pipe', -5, 5],
  ['times', -86_400, 250_000_000],
  ['many', 1_600_000_000, 600_000_000],
  ['.', 1_500_000_000, 15],
] as const;

function setTimes(fd: number, { lastTime = Infinity }: TreeLimits): void {
  for (const [name] of TIMES)
    if (name.startsWith('times/')) at.close(at.openat(fd, name, at.O_CREAT | at.O_WRONLY, 0o644));
  for (const [name, seconds, nanoseconds] of TIMES)
    at.utimensat(fd, name, Math.min(seconds, lastTime), nanoseconds);
}
