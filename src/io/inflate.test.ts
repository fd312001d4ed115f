import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { MicaError } from '../errors.ts';
import type { Bytes } from './bytes.ts';
import { compress, decompress } from './compress.ts';
import { sniffCompression } from './compression.ts';
import { openInflate } from './inflate.ts';

function inflate(kind: 'gzip' | 'zstd' | 'none', stored: Uint8Array, step = stored.length): Buffer {
  const chunks: Buffer[] = [];
  using stream = openInflate(kind, (chunk) => chunks.push(Buffer.from(chunk)));
  for (let at = 0; at < stored.length; at += step) stream.write(stored.subarray(at, at + step));
  stream.end();
  return Buffer.concat(chunks);
}

const PACK = {
  gzip: (bytes: Uint8Array) => gzipSync(bytes),
  zstd: (bytes: Uint8Array) => zstdCompressSync(bytes),
};
const BIG = Buffer.concat([Buffer.alloc(3_000_000, 'layer'), randomBytes(500_000)]);
/** RFC 8878 §3.1.2 */
const SKIPPABLE = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

for (const kind of ['gzip', 'zstd'] as const) {
  test(`${kind}: what was compressed comes back, however it is cut`, () => {
    for (const size of [0, 1, 1000, 262_144, 3_500_000])
      for (const step of [7919, 1 << 20])
        assert.ok(
          inflate(kind, PACK[kind](BIG.subarray(0, size)), step).equals(BIG.subarray(0, size)),
        );
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.integer({ min: 1, max: 100 }),
        (bytes, step) => {
          assert.deepEqual(inflate(kind, PACK[kind](bytes), step), Buffer.from(bytes));
        },
      ),
      { numRuns: 50 },
    );
  });

  test(`${kind}: several members or frames are one stream, wherever they are cut`, () => {
    const stored = Buffer.concat([
      PACK[kind](Buffer.from('one ')),
      PACK[kind](Buffer.from('two ')),
      PACK[kind](Buffer.from('three')),
    ]);
    for (let step = 1; step <= stored.length; step++)
      assert.equal(inflate(kind, stored, step).toString(), 'one two three');
  });

  test(`${kind}: damage, truncation and garbage are DATA_LOSS and never hang`, () => {
    const stored = PACK[kind](BIG);
    assert.throws(() => inflate(kind, stored.subarray(0, stored.length - 5)), {
      code: 'DATA_LOSS',
    });
    assert.throws(() => inflate(kind, stored.subarray(0, 3)), { code: 'DATA_LOSS' });
    assert.throws(() => inflate(kind, Buffer.alloc(0)), { code: 'DATA_LOSS' });
    assert.throws(
      () =>
        inflate(
          kind,
          Buffer.concat([PACK[kind](Buffer.from('x')), Buffer.from('trailing garbage')]),
        ),
      { code: 'DATA_LOSS' },
    );
    const small = PACK[kind](Buffer.from('the quick brown fox jumps over the lazy dog'.repeat(20)));
    fc.assert(
      fc.property(
        fc.nat(small.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.integer({ min: 1, max: 50 }),
        (at, flip, step) => {
          const bad = Buffer.from(small);
          bad[at] = bad[at]! ^ flip;
          try {
            inflate(kind, bad, step);
          } catch (error) {
            assert.ok(error instanceof MicaError && error.code === 'DATA_LOSS', String(error));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test(`${kind}: a bomb is inflated in pieces of bounded size`, () => {
    let [largest, total] = [0, 0];
    using stream = openInflate(kind, ({ length }) => {
      largest = Math.max(largest, length);
      total += length;
    });
    stream.write(PACK[kind](Buffer.alloc(64 * 2 ** 20)));
    stream.end();
    assert.equal(total, 64 * 2 ** 20);
    assert.ok(largest <= 256 * 1024);
  });
}

test('zeros after gzip are padding, as gzip -d has it', () => {
  const stored = Buffer.concat([gzipSync('x'), Buffer.alloc(600)]);
  for (const step of [1, 10, 1000]) assert.equal(inflate('gzip', stored, step).toString(), 'x');
});

test('skippable frames of zstd are skipped', () => {
  const stored = Buffer.concat([
    SKIPPABLE,
    zstdCompressSync('a'),
    SKIPPABLE,
    zstdCompressSync('b'),
    SKIPPABLE,
  ]);
  assert.equal(sniffCompression(stored), 'zstd');
  for (let step = 1; step <= stored.length; step++)
    assert.equal(inflate('zstd', stored, step).toString(), 'ab');
});

test('a compression is told by its first bytes; those that no image has are refused', () => {
  assert.equal(sniffCompression(gzipSync('x')), 'gzip');
  assert.equal(sniffCompression(zstdCompressSync('x')), 'zstd');
  assert.equal(sniffCompression(Buffer.from('usr/bin')), 'none');
  assert.equal(sniffCompression(Buffer.alloc(0)), 'none');
  assert.throws(() => sniffCompression(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])), {
    code: 'NOT_IMPLEMENTED',
  });
});

test('streams compress and decompress, whatever the compression', async () => {
  async function* pieces(bytes: Uint8Array): Bytes {
    for (let at = 0; at < bytes.length; at += 10_007) yield bytes.subarray(at, at + 10_007);
  }
  for (const kind of ['gzip', 'zstd', 'none'] as const) {
    const back = await Array.fromAsync(decompress(compress(pieces(BIG), kind)));
    assert.ok(Buffer.concat(back).equals(BIG), kind);
  }
});

test('a source that fails while it is compressed fails the compressed stream', async () => {
  async function* failing(): Bytes {
    yield Buffer.from('x');
    throw new Error('gone');
  }
  await assert.rejects(Array.fromAsync(compress(failing(), 'gzip')), /gone/);
});
