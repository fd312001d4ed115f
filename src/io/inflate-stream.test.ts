import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { needs } from '../testing/need.ts';
import { noise } from '../testing/noise.ts';
import { handleInflater } from './inflate-handle.ts';
import { isalInflater } from './inflate-isal.ts';
import { InflateStream } from './inflate-stream.ts';
import { threadInflater } from './inflate-thread.ts';
import { zstdInflater } from './inflate-zstd.ts';
import type { Piece } from './slabs.ts';

const PLAIN = Buffer.concat([Buffer.alloc(3_000_000, 'layer'), noise(900_000)]);
const GZIP = gzipSync(PLAIN);
const ZSTD = zstdCompressSync(PLAIN);

const WAYS = [
  { name: 'gzip by ISA-L', kind: 'gzip', stored: GZIP, open: isalInflater, skip: needs('isal') },
  { name: 'gzip by handle', kind: 'gzip', stored: GZIP, open: () => handleInflater('gzip') },
  { name: 'gzip by thread', kind: 'gzip', stored: GZIP, open: () => threadInflater('gzip') },
  { name: 'zstd', kind: 'zstd', stored: ZSTD, open: zstdInflater, skip: needs('linux') },
  { name: 'zstd by handle', kind: 'zstd', stored: ZSTD, open: () => handleInflater('zstd') },
  { name: 'no compression', kind: 'none', stored: PLAIN, open: () => undefined },
] as const;

/** Pieces are given back a while after they came, as by a disk that is slow. */
class Slow {
  readonly pieces: Buffer[] = [];
  outside = 0;
  most = 0;

  readonly take = ({ bytes, release }: Piece): void => {
    this.pieces.push(Buffer.from(bytes));
    const seen = Buffer.from(bytes);
    this.most = Math.max(this.most, ++this.outside);
    setTimeout(() => {
      assert.ok(seen.equals(bytes), 'a piece changed before it was released');
      this.outside--;
      release();
    }, 2);
  };
}

for (const { name, kind, stored, open, ...need } of WAYS) {
  const skip = 'skip' in need ? need.skip : false;

  test(
    `${name}: pieces come in order and stay as they are until they are released`,
    { skip },
    async () => {
      for (const step of [50_021, stored.length]) {
        const slow = new Slow();
        await using stream = new InflateStream(kind, slow.take, { inflater: open() });
        for (let at = 0; at < stored.length; at += step)
          await stream.write(stored.subarray(at, at + step));
        stream.end();
        assert.ok(Buffer.concat(slow.pieces).equals(PLAIN));
        assert.ok(slow.most <= 4, `${slow.most} pieces at once`);
      }
    },
  );

  test(`${name}: what is held back comes when it is asked for`, { skip }, async () => {
    let size = 0;
    const take = ({ bytes, release }: Piece): void => {
      size += bytes.length;
      release();
    };
    await using stream = new InflateStream(kind, take, { inflater: open() });
    await stream.write(stored);
    stream.flush();
    assert.equal(size, PLAIN.length);
    stream.end();
  });

  test(`${name}: what the sink throws is thrown, and nothing runs on`, { skip }, async () => {
    const full = new Error('full');
    const fail = (): never => {
      throw full;
    };
    await using stream = new InflateStream(kind, fail, { inflater: open() });
    await assert.rejects(async () => {
      await stream.write(stored);
      stream.end();
    }, full);
  });

  if (kind === 'none') continue;

  test(`${name}: data that are cut or damaged are DATA_LOSS`, { skip }, async () => {
    const read = async (bytes: Uint8Array): Promise<void> => {
      await using stream = new InflateStream(kind, ({ release }) => release(), {
        inflater: open(),
      });
      await stream.write(bytes);
      stream.end();
    };
    await assert.rejects(read(stored.subarray(0, -1)), { code: 'DATA_LOSS' });
    await assert.rejects(read(Buffer.concat([stored, Buffer.from('garbage')])), {
      code: 'DATA_LOSS',
    });
    // A zstd frame need not have a checksum.
    if (kind === 'zstd') return;
    const damaged = Buffer.from(stored);
    damaged.fill(0xff, damaged.length - 5000, damaged.length - 4000);
    await assert.rejects(read(damaged), { code: 'DATA_LOSS' });
  });
}

test('memory is the same after one gibibyte', async () => {
  const member = gzipSync(Buffer.alloc(2 ** 26), { level: 1 });
  let total = 0;
  await using stream = new InflateStream('gzip', ({ bytes, release }) => {
    total += bytes.length;
    release();
  });
  await stream.write(member);
  const before = process.memoryUsage.rss();
  for (let turn = 1; turn < 16; turn++) await stream.write(member);
  stream.end();
  assert.equal(total, 2 ** 30);
  assert.ok(process.memoryUsage.rss() - before < 2 ** 24);
});
