import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, crc32, deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { needs } from '../testing/need.ts';
import { noise } from '../testing/noise.ts';
import { handleInflater } from './inflate-handle.ts';
import { isalInflater } from './inflate-isal.ts';
import { problemOf } from './inflate-trial.ts';
import { Inflation } from './inflate.ts';
import type { Inflater } from './inflater.ts';

const skip = needs('isal');
const TEXT = Buffer.from('the quick brown fox jumps over the lazy dog'.repeat(99));

/** `undefined`: refused. */
function inflated(open: () => Inflater, stored: Uint8Array, step: number): Buffer | undefined {
  const pieces: Buffer[] = [];
  using inflation = new Inflation('gzip', open());
  try {
    for (let at = 0; at < stored.length; at += step)
      for (const piece of inflation.pieces(stored.subarray(at, at + step)))
        pieces.push(Buffer.from(piece));
    inflation.end();
  } catch {
    return undefined;
  }
  return Buffer.concat(pieces);
}

const open = {
  isal: isalInflater,
  zlib: () => handleInflater('gzip'),
};

function agree(stored: Uint8Array, step: number): void {
  const [isal, zlib] = [inflated(open.isal, stored, step), inflated(open.zlib, stored, step)];
  assert.deepEqual(isal, zlib, Buffer.from(stored).toString('hex'));
}

test('whatever zlib can write, ISA-L reads alike', { skip }, () => {
  const { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED } = constants;
  const data = Buffer.concat([TEXT, noise(70_000), Buffer.alloc(90_000), TEXT]);
  for (const strategy of [Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED])
    for (const level of [0, 1, 6, 9])
      for (const windowBits of [9, 15])
        for (const step of [1021, 1 << 20]) {
          const stored = gzipSync(data, { strategy, level, windowBits });
          assert.ok(inflated(open.isal, stored, step)?.equals(data));
        }
});

/** A gzip member of `TEXT` with the optional fields that `flags` say, each as long as `length`. */
function memberWith(flags: number, length: number): Buffer {
  const extra = Buffer.concat([Buffer.of(length & 0xff, length >> 8), Buffer.alloc(length, 'x')]);
  const text = Buffer.from(`${'n'.repeat(length)}\0`);
  const parts = [Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 0xff])];
  if ((flags & 4) !== 0) parts.push(extra);
  if ((flags & 8) !== 0) parts.push(text);
  if ((flags & 16) !== 0) parts.push(text);
  const check = crc32(Buffer.concat(parts));
  if ((flags & 2) !== 0) parts.push(Buffer.of(check & 0xff, (check >> 8) & 0xff));
  return Buffer.concat([...parts, deflateRawSync(TEXT), gzipSync(TEXT).subarray(-8)]);
}

/** Lengths of the fields, and of the pieces that they come in. */
const FIELDS = [
  [0, [1, 7, 13]],
  [9, [1, 7, 13]],
  [65_535, [9001]],
] as const;

test('members with any optional fields are read, wherever they are cut', { skip }, () => {
  for (let flags = 0; flags < 32; flags++)
    for (const [length, steps] of FIELDS)
      for (const step of steps) {
        const stored = memberWith(flags, length);
        const twice = Buffer.concat([stored, stored]);
        assert.ok(inflated(open.isal, twice, step)?.equals(Buffer.concat([TEXT, TEXT])));
        agree(twice, step);
      }
});

test('a header that is none, or says another checksum than its own, is refused', { skip }, () => {
  const good = memberWith(2 | 8, 3);
  for (const at of [0, 1, 2, 10, 14, 15]) {
    const bad = Buffer.from(good);
    bad[at]! ^= 0x40;
    for (const step of [1, good.length]) assert.equal(inflated(open.isal, bad, step), undefined);
  }
  const reserved = Buffer.from(memberWith(0, 0));
  reserved[3] = 0x20;
  agree(reserved, 5);
});

test('what is damaged anywhere is refused by both or read alike by both', { skip }, () => {
  const stored = Buffer.concat([gzipSync(TEXT.subarray(0, 2000)), gzipSync(noise(300))]);
  // Flags that nobody writes (RFC 1952 reserves three of them), and times, are not compared.
  const position = fc.integer({ min: 10, max: stored.length - 1 });
  const flips = fc.array(fc.tuple(position, fc.integer({ min: 1, max: 255 })), { maxLength: 4 });
  fc.assert(
    fc.property(
      flips,
      fc.nat(stored.length),
      fc.integer({ min: 1, max: 500 }),
      (all, cut, step) => {
        const bad = Buffer.from(stored);
        for (const [at, flip] of all) bad[at] = bad[at]! ^ flip;
        agree(bad, step);
        agree(bad.subarray(0, cut), step);
      },
    ),
    { numRuns: 400 },
  );
});

test('noise behind the header of a member neither hangs nor overruns', { skip }, () => {
  const head = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 600 }),
      fc.integer({ min: 1, max: 600 }),
      (bytes, step) => agree(Buffer.concat([head, bytes]), step),
    ),
    { numRuns: 400 },
  );
});

test('on another thread it makes the same bytes', { skip }, async () => {
  const data = Buffer.concat([noise(300_000), Buffer.alloc(900_000, 'layer')]);
  const stored = gzipSync(data);
  const inflater = isalInflater();
  const into = Buffer.alloc(100_000);
  const pieces: Buffer[] = [];
  let input: Uint8Array = stored;
  for (;;) {
    const { used, made } = await inflater.later!(input, into);
    if (used === 0 && made === 0) break;
    if (made < into.length) assert.equal(used, input.length);
    input = input.subarray(used);
    pieces.push(Buffer.from(into.subarray(0, made)));
  }
  inflater.finish();
  assert.ok(Buffer.concat(pieces).equals(data));
  await assert.rejects(isalInflater().later!(Buffer.from('no gzip at all'), into), Error);
});

test('a library that accepts anything, or makes something else, fails the trial', () => {
  const like = (changed: Partial<Inflater>) => () => ({ ...handleInflater('gzip'), ...changed });
  assert.equal(problemOf(like({})), undefined);
  assert.match(problemOf(like({ finish() {} }))!, /ends? too early/);
  const blind = like({
    step: (input, into) => ({ used: input.length, made: Math.min(input.length, into.length) }),
  });
  assert.match(problemOf(blind)!, /does not inflate/);
});
