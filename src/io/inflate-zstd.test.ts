import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { isCode } from '../errors.ts';
import { needs } from '../testing/need.ts';
import { noise } from '../testing/noise.ts';
import { handleInflater } from './inflate-handle.ts';
import { Inflation } from './inflate.ts';
import { hasZstd, zstdInflater } from './inflate-zstd.ts';
import type { Inflater } from './inflater.ts';

const skip = needs('linux');
const TEXT = Buffer.from('the quick brown fox jumps over the lazy dog'.repeat(99));
/** RFC 8878, 3.1.2: what a reader passes over. */
const SKIPPED = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

const isTooLarge = (error: unknown): boolean =>
  isCode(error, 'RESOURCE_EXHAUSTED') && /more than 128 MiB/.test(error.message);

/** `undefined`: refused. */
async function inflated(
  inflater: Inflater,
  stored: Uint8Array,
  step: number,
): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  const into = Buffer.alloc(70_000);
  using inflation = new Inflation('zstd', inflater);
  try {
    for (let at = 0; at < stored.length; at += step) {
      let input = stored.subarray(at, at + step);
      for (let more = true; more;) {
        const advance = await inflation.advance(input, into);
        ({ more } = advance);
        input = input.subarray(advance.used);
        pieces.push(Buffer.from(into.subarray(0, advance.made)));
      }
      assert.equal(input.length, 0);
    }
    inflation.end();
  } catch (error) {
    assert.ok(isCode(error, 'DATA_LOSS') || isTooLarge(error), String(error));
    return undefined;
  }
  return Buffer.concat(pieces);
}

/** As it is used, and step by step on this thread. */
const WAYS = [zstdInflater, () => ({ ...zstdInflater(), later: undefined })] as const;

async function agree(stored: Uint8Array, step: number): Promise<void> {
  const expected = await inflated(handleInflater('zstd'), stored, step);
  for (const open of WAYS)
    assert.deepEqual(
      await inflated(open() as Inflater, stored, step),
      expected,
      Buffer.from(stored).toString('hex'),
    );
}

test('this Node hands out its libzstd', { skip }, () => assert.ok(hasZstd()));

test(
  'frames of any kind are read, one after the other, wherever they are cut',
  {
    skip,
  },
  async () => {
    const data = Buffer.concat([TEXT, noise(70_000), Buffer.alloc(190_000), TEXT]);
    const frames = [-5, 3, 19].map((level) =>
      zstdCompressSync(data, {
        params: {
          [constants.ZSTD_c_compressionLevel]: level,
          [constants.ZSTD_c_checksumFlag]: level === 3 ? 1 : 0,
        },
      }),
    );
    const empty = zstdCompressSync(Buffer.alloc(0));
    const stored = Buffer.concat([
      SKIPPED,
      frames[0]!,
      empty,
      SKIPPED,
      frames[1]!,
      frames[2]!,
      SKIPPED,
    ]);
    for (const step of [1021, 65_536, stored.length])
      for (const open of WAYS) {
        const found = await inflated(open() as Inflater, stored, step);
        assert.ok(found?.equals(Buffer.concat([data, data, data])), `in steps of ${step}`);
      }
  },
);

test(
  'what is damaged or cut anywhere is refused by both or read alike by both',
  {
    skip,
  },
  async () => {
    const params = { [constants.ZSTD_c_checksumFlag]: 1 };
    const stored = Buffer.concat([
      zstdCompressSync(TEXT.subarray(0, 2000), { params }),
      SKIPPED,
      zstdCompressSync(noise(300)),
    ]);
    const flip = fc.tuple(fc.nat(stored.length - 1), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(flip, { maxLength: 4 }),
        fc.nat(stored.length),
        fc.integer({ min: 1, max: 500 }),
        async (flips, cut, step) => {
          const bad = Buffer.from(stored);
          for (const [at, bits] of flips) bad[at] = bad[at]! ^ bits;
          await agree(bad, step);
          await agree(bad.subarray(0, cut), step);
        },
      ),
      { numRuns: 200 },
    );
  },
);

test('a frame that asks for more than 128 MiB of window is refused', { skip }, async () => {
  // RFC 8878, 3.1.1.1.2: 2^(10 + 18) bytes.
  const huge = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 1, 0, 0]);
  for (const open of WAYS) assert.equal(await inflated(open() as Inflater, huge, 100), undefined);
  const largest = Buffer.from(huge);
  largest[5] = 17 << 3;
  for (const open of WAYS)
    assert.deepEqual(await inflated(open() as Inflater, largest, 100), Buffer.alloc(0));
});
