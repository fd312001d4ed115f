import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe as group, test } from 'node:test';
import { constants, deflateRawSync, gzipSync, type ZlibOptions } from 'node:zlib';
import fc from 'fast-check';
import { isCode, MicaError } from '../errors.ts';
import { needs } from '../testing/need.ts';
import { prose } from '../testing/prose.ts';
import type { Fill } from './bit-reader.ts';
import { chooseModel } from './choose.ts';
import { describe } from './describe.ts';
import { type Model, MODELS } from './model.ts';
import type { ReadInto } from './plain.ts';
import { recreate } from './recreate.ts';

const { Z_FIXED, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE } = constants;

/** @param piece - bytes a call */
function reading(data: Uint8Array, piece = 100_000): ReadInto {
  let at = 0;
  return (into) => {
    const count = Math.min(into.length, piece, data.length - at);
    into.set(data.subarray(at, at + count));
    at += count;
    return count;
  };
}

function filling(stored: Uint8Array, piece = 70_000): Fill {
  let at = 0;
  return () => {
    if (at >= stored.length) return undefined;
    at += piece;
    return stored.subarray(at - piece, at);
  };
}

const choose = (stored: Uint8Array, data: Uint8Array): Model =>
  chooseModel({ stored: () => filling(stored), data: () => reading(data) }).model;

function again(data: Uint8Array, model: Model, script: Uint8Array): Buffer {
  const parts: Buffer[] = [];
  recreate(reading(data), model, script, (bytes) => parts.push(Buffer.from(bytes)));
  return Buffer.concat(parts);
}

/** @returns the share of the file that its script is */
function assertComesBack(stored: Uint8Array, data: Uint8Array): number {
  const model = choose(stored, data);
  const script = describe(filling(stored), reading(data), model);
  assert.ok(again(data, model, script).equals(stored), `other bytes by ${model.name}`);
  return script.length / stored.length;
}

const DATA = prose(3_000_000);
const SHORT = prose(150_000);

group('files come back bit for bit', () => {
  for (const level of [1, 2, 3, 4, 5, 6, 7, 8, 9])
    test(`of Node's zlib at level ${level}, with a script of less than 4 %`, () => {
      const share = assertComesBack(gzipSync(DATA, { level }), DATA);
      assert.ok(share < 0.04, `${(100 * share).toFixed(2)} %`);
    });

  const others: Readonly<Record<string, ZlibOptions>> = {
    'with nothing but stored blocks': { level: 0 },
    'with fixed codes': { strategy: Z_FIXED },
    filtered: { strategy: Z_FILTERED },
    'without matches': { strategy: Z_HUFFMAN_ONLY },
    'with runs only': { strategy: Z_RLE },
    'with little memory': { memLevel: 1 },
    'with much memory': { memLevel: 9 },
    'with a small window': { windowBits: 9 },
  };
  for (const [title, options] of Object.entries(others))
    test(title, () => void assertComesBack(gzipSync(SHORT, options), SHORT));

  test('empty, short, and without any match', () => {
    for (const data of ['', 'a', 'ab', 'abc', 'abcd', 'aaaaaaaaaa', 'abcdefghijklmnop'])
      assertComesBack(gzipSync(data), Buffer.from(data));
  });

  test('one that repeats a byte for megabytes', () => {
    const data = Buffer.alloc(5_000_000, 7);
    assertComesBack(gzipSync(data), data);
  });

  test('of several members, with names, comments, checksums and zeros at the end', () => {
    const header = Buffer.from([0x1f, 0x8b, 8, 0x1e, 1, 2, 3, 4, 2, 3, 3, 0, 9, 9, 9]);
    const text = Buffer.from('name\0a comment\0');
    const first = gzipSync(SHORT.subarray(0, 90_000)).subarray(10);
    const second = gzipSync(SHORT.subarray(90_000), { level: 9 });
    const crc = Buffer.from([0x12, 0x34]);
    assertComesBack(Buffer.concat([header, text, crc, first, second, Buffer.alloc(700)]), SHORT);
  });

  test('one that was flushed in the middle', () => {
    const raw = deflateRawSync(SHORT, { finishFlush: constants.Z_SYNC_FLUSH });
    const end = Buffer.from([0x03, 0]);
    const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    const trailer = gzipSync(SHORT).subarray(-8);
    assertComesBack(Buffer.concat([header, raw, end, trailer]), SHORT);
  });

  for (const [level, length] of [
    [1, 70_000],
    [6, 40_000],
  ] as const)
    test(`of Go's compress/gzip at level ${level}, with a script of less than 2 %`, () => {
      const stored = readFileSync(join(import.meta.dirname, `fixtures/go-${level}.gz`));
      const data = prose(length);
      assert.equal(choose(stored, data).name, `Go -${level}`);
      const share = assertComesBack(stored, data);
      assert.ok(share < 0.02, `${(100 * share).toFixed(2)} %`);
    });

  const programs: readonly (readonly [string, readonly string[], number])[] = [
    ['gzip', ['-n', '-1'], 0.0025],
    ['gzip', ['-6'], 0.0025],
    ['gzip', ['-9'], 0.0025],
  ];
  for (const [program, options, most] of programs)
    test(
      `of ${program} ${options.join(' ')}, with a script of less than ${most * 100} %`,
      { skip: needs('tar') },
      () => {
        const stored = execFileSync(program, options, { input: DATA, maxBuffer: 1 << 26 });
        const share = assertComesBack(stored, DATA);
        assert.ok(share < most, `${(100 * share).toFixed(2)} %`);
      },
    );

  test('whatever the data, the encoder and the model', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.array(fc.constantFrom(1, 2, 3), { maxLength: 3000 }).map((list) => Uint8Array.from(list)),
      fc.nat(60_000).map((length) => prose(length, length)),
    );
    const options = fc.record({
      level: fc.integer({ min: 0, max: 9 }),
      memLevel: fc.integer({ min: 1, max: 9 }),
      strategy: fc.constantFrom(0, Z_FIXED, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE),
      windowBits: fc.integer({ min: 9, max: 15 }),
    });
    fc.assert(
      fc.property(bytes, options, fc.constantFrom(...MODELS), (data, how, model) => {
        const stored = gzipSync(data, how);
        const script = describe(filling(stored, 999), reading(data, 1234), model);
        assert.ok(again(data, model, script).equals(stored));
      }),
      { numRuns: 150 },
    );
  });
});

group('what is not as it should be', () => {
  const stored = gzipSync(SHORT);
  const model = choose(stored, SHORT);

  test('a cut file is damage, wherever it is cut', () => {
    for (let length = 1; length < stored.length; length += 1 + Math.floor(stored.length / 80))
      assert.throws(
        () => describe(filling(stored.subarray(0, length)), reading(SHORT), model),
        (error) => isCode(error, 'DATA_LOSS'),
      );
  });

  test('a changed bit gives an error or the same changed file, and ends', () => {
    for (let at = 0; at < stored.length; at += 1 + Math.floor(stored.length / 150)) {
      const changed = Buffer.from(stored);
      changed[at]! ^= 1 << (at & 7);
      let script: Buffer;
      try {
        script = describe(filling(changed), reading(SHORT), model);
      } catch (error) {
        assert.ok(error instanceof MicaError, String(error));
        continue;
      }
      // It says what the file says; that it is of other data is seen by who compares digests.
      again(SHORT, model, script);
    }
  });

  test('data that are too short or too long for the file are not its data', () => {
    for (const data of [SHORT.subarray(1), SHORT.subarray(0, -1), Buffer.concat([SHORT, SHORT])])
      assert.throws(
        () => describe(filling(stored), reading(data), model),
        (error) => isCode(error, 'DATA_LOSS'),
      );
  });

  test('a damaged script gives an error or other bytes, and ends', () => {
    const script = describe(filling(stored), reading(SHORT), model);
    for (let at = 0; at < script.length; at += 1 + Math.floor(script.length / 150)) {
      const changed = Buffer.from(script);
      changed[at]! ^= 1 << (at & 7);
      try {
        again(SHORT, model, changed);
      } catch (error) {
        assert.ok(error instanceof MicaError, String(error));
      }
    }
  });

  test('a script that grows over its limit is given up', () => {
    assert.throws(
      () => describe(filling(stored), reading(SHORT), model, { limit: 100 }),
      (error) => isCode(error, 'RESOURCE_EXHAUSTED'),
    );
  });
});
