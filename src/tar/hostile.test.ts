import assert from 'node:assert/strict';
import { test } from 'node:test';
import { END, header, member, padded, pax, readAll, special } from '../testing/hand-made-tar.ts';
import { BLOCK } from './header.ts';
import { TarReader } from './read.ts';

const GNU = 'ustar  \0';
const join = (parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts);
const sparse = (size: number, map: string, stored: number): Buffer =>
  join([
    pax(`GNU.sparse.size=${size}`, `GNU.sparse.map=${map}`),
    member('s', 'x'.repeat(stored)),
    END,
  ]);
/** A sparse file of format 1.0 with the given map. */
const mapped = (map: string, size = 1000, realSize = 100): Buffer =>
  join([
    pax('GNU.sparse.major=1', 'GNU.sparse.minor=0', `GNU.sparse.realsize=${realSize}`),
    header({ size }),
    padded(map),
    Buffer.alloc(BLOCK),
    END,
  ]);
const base256 =
  (offset: number, ...bytes: number[]) =>
  (block: Buffer) =>
    block.set(bytes, offset);

const REFUSED: readonly (readonly [what: string, code: string, archive: () => Buffer])[] = [
  ['an end inside a file', 'DATA_LOSS', () => member('f', 'x'.repeat(600)).subarray(0, 1100)],
  ['an end inside padding', 'DATA_LOSS', () => member('f', 'x').subarray(0, 600)],
  ['an end inside a header', 'DATA_LOSS', () => header().subarray(0, 100)],
  ['an end inside a zero block', 'DATA_LOSS', () => join([member('f'), Buffer.alloc(100)])],
  ['an end inside an extended header', 'DATA_LOSS', () => pax('path=x').subarray(0, 520)],
  ['an extended header without a member', 'DATA_LOSS', () => pax('path=x')],
  ['a long name without a member', 'DATA_LOSS', () => special('L', 'name\0')],
  ['a long target without a member', 'DATA_LOSS', () => special('K', 'name\0')],
  ['an end inside a sparse map', 'DATA_LOSS', () => mapped('9\n', 5000).subarray(0, 4 * BLOCK)],
  ['a wrong checksum first of all', 'INVALID_ARGUMENT', () => header().fill('9', 148, 154)],
  [
    'a wrong checksum later',
    'DATA_LOSS',
    () => join([member('a'), header().fill('9', 148, 154), END]),
  ],
  ['no checksum', 'INVALID_ARGUMENT', () => header().fill(' ', 148, 156)],
  ['HTML', 'INVALID_ARGUMENT', () => padded(`<!doctype html>${' '.repeat(600)}`)],
  [
    'one zero block in the middle',
    'INVALID_ARGUMENT',
    () => join([Buffer.alloc(512), member('f')]),
  ],
  ['a size in letters', 'INVALID_ARGUMENT', () => header({ size: '12x' })],
  ['a mode of digits beyond 7', 'INVALID_ARGUMENT', () => header({ patch: base256(100, 0x39) })],
  [
    'a negative size',
    'INVALID_ARGUMENT',
    () => header({ magic: GNU, patch: (block) => void block.fill(0xff, 124, 136) }),
  ],
  ['a negative size in a record', 'INVALID_ARGUMENT', () => join([pax('size=-1'), header()])],
  [
    'a size beyond 2^53',
    'INVALID_ARGUMENT',
    () => header({ magic: GNU, patch: base256(124, 0x80, 0, 0, 0, 0, 0x40) }),
  ],
  [
    'a size of 19 digits in a record',
    'INVALID_ARGUMENT',
    () => join([pax('size=9999999999999999999'), header()]),
  ],
  ['a size of 1e3', 'INVALID_ARGUMENT', () => join([pax('size=1e3'), header()])],
  ['a uid of 33 bits', 'INVALID_ARGUMENT', () => join([pax('uid=8589934592'), header()])],
  ['a negative gid', 'INVALID_ARGUMENT', () => join([pax('gid=-1'), header()])],
  ['an mtime in words', 'INVALID_ARGUMENT', () => join([pax('mtime=now'), header()])],
  ['an mtime of two parts', 'INVALID_ARGUMENT', () => join([pax('mtime=1.2.3'), header()])],
  ['an mtime beyond 2^53', 'INVALID_ARGUMENT', () => join([pax(`mtime=${2 ** 54}`), header()])],
  ['an extended header of 2 MiB', 'RESOURCE_EXHAUSTED', () => header({ type: 'x', size: 2 ** 21 })],
  ['a long name of 2 MiB', 'RESOURCE_EXHAUSTED', () => header({ type: 'L', size: 2 ** 21 })],
  ['a record that is too long', 'INVALID_ARGUMENT', () => special('x', '99 path=abc\n')],
  ['a record that is too short', 'INVALID_ARGUMENT', () => special('x', '5 path=abc\n')],
  ['a record without an end', 'INVALID_ARGUMENT', () => special('x', '12 path=abcX6 a=b\n')],
  ['a record of no length', 'INVALID_ARGUMENT', () => special('x', 'path=abc\n')],
  ['a record of length 0', 'INVALID_ARGUMENT', () => special('x', '0 path=abc\n')],
  ['a record of negative length', 'INVALID_ARGUMENT', () => special('x', '-9 path=abc\n')],
  ['a record without a value', 'INVALID_ARGUMENT', () => special('x', '8 path\n\n')],
  [
    'a record without a value before one that has',
    'INVALID_ARGUMENT',
    () => special('x', '7 path\n6 a=b\n'),
  ],
  ['a record without a key', 'INVALID_ARGUMENT', () => special('x', '6 =ab\n')],
  ['a NUL in a name', 'INVALID_ARGUMENT', () => join([pax('path=a\0b'), header()])],
  ['a NUL in a target', 'INVALID_ARGUMENT', () => join([pax('linkpath=a\0b'), header()])],
  ['a nameless attribute', 'INVALID_ARGUMENT', () => join([pax('SCHILY.xattr.=x'), header()])],
  ['overlapping runs', 'INVALID_ARGUMENT', () => sparse(100, '0,10,5,10', 20)],
  ['runs in the wrong order', 'INVALID_ARGUMENT', () => sparse(100, '50,10,0,10', 20)],
  ['a run beyond the end', 'INVALID_ARGUMENT', () => sparse(10, '0,20', 20)],
  ['a run that wraps around', 'INVALID_ARGUMENT', () => sparse(10, `${2 ** 53 - 1},5`, 5)],
  ['a run of negative length', 'INVALID_ARGUMENT', () => sparse(100, '5,-5,10,5', 0)],
  ['an offset without a length', 'INVALID_ARGUMENT', () => sparse(10, '5', 0)],
  ['runs of more than is stored', 'INVALID_ARGUMENT', () => sparse(100, '0,50', 20)],
  ['runs of less than is stored', 'INVALID_ARGUMENT', () => sparse(100, '0,10', 20)],
  ['a sparse file of negative size', 'INVALID_ARGUMENT', () => sparse(-1, '', 0)],
  [
    'a sparse file without a size',
    'INVALID_ARGUMENT',
    () => join([pax('GNU.sparse.map=0,1'), member('s', 'x')]),
  ],
  [
    'a sparse directory',
    'INVALID_ARGUMENT',
    () => join([pax('GNU.sparse.size=1', 'GNU.sparse.map=0,1'), header({ type: '5' })]),
  ],
  ['a sparse file smaller than its map', 'INVALID_ARGUMENT', () => mapped('0\n', 100)],
  ['a sparse map of a billion runs', 'RESOURCE_EXHAUSTED', () => mapped('1000000000\n')],
  ['a sparse map of words', 'INVALID_ARGUMENT', () => mapped('one\n')],
  ['a sparse map without an end', 'INVALID_ARGUMENT', () => mapped('1'.repeat(600), 5000)],
  ['a sparse map of minus one runs', 'INVALID_ARGUMENT', () => mapped('-1\n')],
  ['a sparse map of negative numbers', 'INVALID_ARGUMENT', () => mapped('1\n-5\n5\n')],
  [
    'a sparse file of format 2.0',
    'NOT_IMPLEMENTED',
    () => join([pax('GNU.sparse.major=2', 'GNU.sparse.realsize=1'), header()]),
  ],
  ['a sparse file of star', 'NOT_IMPLEMENTED', () => header({ type: 'S' })],
  ['a part of several volumes', 'NOT_IMPLEMENTED', () => header({ type: 'M', magic: GNU })],
  ['a script of names', 'NOT_IMPLEMENTED', () => header({ type: 'N', magic: GNU })],
  ['a member of unknown type', 'NOT_IMPLEMENTED', () => header({ type: 'Z' })],
  ['a member of type 255', 'NOT_IMPLEMENTED', () => header({ type: '\xff' })],
];
for (const [what, code, archive] of REFUSED)
  test(`${what} is refused with ${code}`, () => {
    assert.throws(() => readAll(archive()), { name: 'MicaError', code });
    assert.throws(() => readAll(archive(), [1, 7, 511]), { name: 'MicaError', code });
  });

test('old GNU maps are bounded, however many blocks they claim to have', () => {
  const reader = new TarReader({ entry() {}, data() {}, end() {} });
  const more = (block: Buffer): void => void block.fill(1, 482, 483);
  reader.write(header({ type: 'S', magic: GNU, patch: more }));
  const block = Buffer.alloc(BLOCK, '0');
  assert.throws(
    () => {
      for (let turn = 0; turn < 100_000; turn++) reader.write(block);
    },
    { code: 'RESOURCE_EXHAUSTED' },
  );
});

test('a sparse map that goes beyond its member is refused where it does', () => {
  const reader = new TarReader({ entry() {}, data() {}, end() {} });
  reader.write(mapped('9\n', BLOCK).subarray(0, 4 * BLOCK));
  assert.throws(() => reader.write(padded('1\n1\n')), { code: 'INVALID_ARGUMENT' });
});

test('headers without end do not fill memory', () => {
  const reader = new TarReader({ entry() {}, data() {}, end() {} });
  const bomb = join([
    special('x', `1000000 path=${'a'.repeat(999_986)}\n`),
    special('L', 'b'.repeat(1_000_000)),
    special('g', 'c'.repeat(3_000_000)),
  ]);
  reader.write(bomb);
  const before = process.memoryUsage.rss();
  for (let turn = 0; turn < 40; turn++) reader.write(bomb);
  assert.ok(process.memoryUsage.rss() - before < 2 ** 26);
});

test('a size that is a lie costs no memory', () => {
  const reader = new TarReader({ entry() {}, data() {}, end() {} });
  reader.write(join([pax(`size=${2 ** 53 - 1}`), header(), Buffer.alloc(5000)]));
  assert.throws(() => reader.end(), { code: 'DATA_LOSS' });
});
