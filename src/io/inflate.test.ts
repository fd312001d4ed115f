import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { type ErrorCode, isCode } from '../errors.ts';
import { needs } from '../testing/need.ts';
import { noise } from '../testing/noise.ts';
import { handleInflater, handleWorks } from './inflate-handle.ts';
import { isalInflater, isalProblem } from './inflate-isal.ts';
import { threadInflater } from './inflate-thread.ts';
import { Inflation } from './inflate.ts';
import type { Inflatable } from './inflater.ts';

const PACK = {
  gzip: (bytes: Uint8Array) => gzipSync(bytes),
  zstd: (bytes: Uint8Array) => zstdCompressSync(bytes),
};
const BIG = Buffer.concat([Buffer.alloc(3_000_000, 'layer'), noise(500_000)]);
/** RFC 8878 §3.1.2 */
const SKIPPABLE = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
const WAYS = [
  {
    way: 'by ISA-L',
    open: isalInflater,
    kinds: ['gzip'],
    runs: 60,
    sizes: [0, 1, 1000, 262_144, 3_500_000],
    skip: needs('isal'),
  },
  {
    way: 'by handle',
    open: handleInflater,
    kinds: ['gzip', 'zstd'],
    runs: 60,
    sizes: [0, 1, 1000, 262_144, 3_500_000],
    skip: false,
  },
  {
    way: 'by thread',
    open: threadInflater,
    kinds: ['gzip', 'zstd'],
    runs: 1,
    sizes: [1000, 600_000],
    skip: false,
  },
] as const;

test("this Node's zlib handle is trusted", () => {
  assert.ok(handleWorks());
});

test('ISA-L is trusted where it is installed', { skip: needs('isal') }, () => {
  assert.equal(isalProblem(), undefined);
});

for (const { way, open, kinds, runs, sizes, skip } of WAYS) {
  function inflate(kind: Inflatable, stored: Uint8Array, step = stored.length): Buffer {
    const chunks: Buffer[] = [];
    using inflation = new Inflation(kind, open(kind));
    for (let at = 0; at < stored.length; at += step)
      for (const piece of inflation.pieces(stored.subarray(at, at + step)))
        chunks.push(Buffer.from(piece));
    inflation.end();
    return Buffer.concat(chunks);
  }
  const refuses = (
    kind: Inflatable,
    stored: Uint8Array,
    step?: number,
    code: ErrorCode = 'DATA_LOSS',
  ): void => assert.throws(() => inflate(kind, stored, step), { code });

  for (const kind of kinds) {
    test(`${kind} ${way}: what was compressed comes back, however it is cut`, { skip }, () => {
      for (const size of sizes)
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
        { numRuns: runs },
      );
    });

    test(
      `${kind} ${way}: several members or frames are one stream, wherever they are cut`,
      { skip },
      () => {
        const stored = Buffer.concat([
          PACK[kind](Buffer.from('one ')),
          PACK[kind](Buffer.from('')),
          PACK[kind](Buffer.from('two ')),
          PACK[kind](Buffer.from('three')),
        ]);
        for (let step = 1; step <= stored.length; step += Math.ceil(30 / runs))
          assert.equal(inflate(kind, stored, step).toString(), 'one two three');
      },
    );

    test(`${kind} ${way}: every early end is DATA_LOSS`, { skip }, () => {
      const stored = PACK[kind](Buffer.from('the quick brown fox'.repeat(9)));
      for (let length = 0; length < stored.length; length += Math.ceil(30 / runs))
        refuses(kind, stored.subarray(0, length), 9);
      refuses(kind, PACK[kind](BIG).subarray(0, -1));
    });

    test(
      `${kind} ${way}: damage and garbage after the end are DATA_LOSS and never hang`,
      { skip },
      () => {
        refuses(
          kind,
          Buffer.concat([PACK[kind](Buffer.from('x')), Buffer.from('trailing garbage')]),
        );
        const small = PACK[kind](
          Buffer.from('the quick brown fox jumps over the lazy dog'.repeat(20)),
        );
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
                // What says how large the window is may be damaged, too.
                const isTold = isCode(error, 'DATA_LOSS') || isCode(error, 'RESOURCE_EXHAUSTED');
                assert.ok(isTold, String(error));
              }
            },
          ),
          { numRuns: runs * 5 },
        );
      },
    );
  }

  test(`zeros after gzip are padding ${way}, and nothing may follow them`, { skip }, () => {
    const stored = Buffer.concat([gzipSync('x'), Buffer.alloc(600)]);
    for (const step of [1, 10, 1000]) assert.equal(inflate('gzip', stored, step).toString(), 'x');
    if (open !== threadInflater)
      for (const step of [1, stored.length, 5000]) {
        refuses('gzip', Buffer.concat([stored, gzipSync('y')]), step);
        refuses('gzip', Buffer.concat([stored, Buffer.from('y')]), step);
      }
    refuses('gzip', Buffer.alloc(600));
  });

  if (!(kinds as readonly string[]).includes('zstd')) continue;
  test(`skippable frames of zstd are skipped ${way}`, () => {
    const [a, b] = [zstdCompressSync('a'), zstdCompressSync('b')];
    const stored = Buffer.concat([SKIPPABLE, a, SKIPPABLE, b, SKIPPABLE]);
    for (let step = 1; step <= stored.length; step += Math.ceil(30 / runs))
      assert.equal(inflate('zstd', stored, step).toString(), 'ab');
    refuses('zstd', stored.subarray(0, -1));
  });

  test(`a zstd frame that wants a window of 256 MiB is refused ${way}`, () => {
    // Magic number, no content size, window of 2^(10 + 18), one raw block of one byte.
    refuses('zstd', Buffer.from('28b52ffd0090090000aa', 'hex'), undefined, 'RESOURCE_EXHAUSTED');
    assert.equal(inflate('zstd', Buffer.from('28b52ffd0088090000aa', 'hex')).length, 1);
  });
}

test('an inflater that failed or is closed does not go on', () => {
  const inflation = new Inflation('gzip');
  const write = (bytes: Uint8Array): unknown => [...inflation.pieces(bytes)];
  assert.throws(() => write(Buffer.from('no gzip at all')), { code: 'DATA_LOSS' });
  assert.throws(() => write(gzipSync('x')), { code: 'DATA_LOSS' });
  assert.throws(() => inflation.end(), { code: 'DATA_LOSS' });
  inflation[Symbol.dispose]();
  inflation[Symbol.dispose]();
  assert.throws(() => write(gzipSync('x')), TypeError);
});
