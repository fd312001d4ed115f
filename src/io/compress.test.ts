import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { noise } from '../testing/noise.ts';
import type { Bytes } from './bytes.ts';
import { compress, decompress } from './compress.ts';

const MIXED = Buffer.concat([Buffer.alloc(1_000_000, 'layer'), noise(300_000)]);
const SHORT = MIXED.subarray(-3000);

async function* pieces(bytes: Uint8Array, size = 10_007): Bytes {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const gathered = async (bytes: Bytes): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(bytes));

for (const kind of ['gzip', 'zstd', 'none'] as const)
  test(`what was compressed with ${kind} comes back, in pieces that stay as they are`, async () => {
    const packed = await gathered(compress(pieces(MIXED), kind));
    const chunks = await Array.fromAsync(decompress(pieces(packed)));
    assert.ok(Buffer.concat(chunks).equals(MIXED));
    const short = await gathered(compress(pieces(SHORT), kind));
    assert.ok((await gathered(decompress(pieces(short, 1)))).equals(SHORT));
  });

test('compressed bytes do not tell where or when they were made', async () => {
  const [one, other] = [
    await gathered(compress(pieces(MIXED), 'gzip')),
    await gathered(compress(pieces(MIXED, 70_001), 'gzip')),
  ];
  assert.ok(one.equals(other));
  assert.equal(one.toString('hex', 4, 8), '00000000');
  assert.equal(one[9], 0xff);
  assert.ok(gunzipSync(one).equals(MIXED));
});

test('compression levels are obeyed', async () => {
  const size = async (level: number): Promise<number> =>
    (await gathered(compress(pieces(MIXED), 'gzip', { level }))).length;
  assert.ok((await size(9)) < (await size(1)));
});

test('nothing at all is an empty tar, unless the media type says that it is compressed', async () => {
  const nothing = (): Bytes => pieces(new Uint8Array());
  assert.equal((await gathered(decompress(nothing()))).length, 0);
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  await assert.rejects(gathered(decompress(nothing(), { mediaType })), { code: 'DATA_LOSS' });
  await assert.rejects(gathered(decompress(nothing(), { compression: 'zstd' })), {
    code: 'DATA_LOSS',
  });
});

test('a stream that ends too early or is damaged is DATA_LOSS', async () => {
  for (const stored of [gzipSync(MIXED), await gathered(compress(pieces(MIXED), 'zstd'))]) {
    await assert.rejects(gathered(decompress(pieces(stored.subarray(0, -1)))), {
      code: 'DATA_LOSS',
    });
    const wrong = Buffer.from(stored);
    wrong.fill(0xff, 2000, 2100);
    await assert.rejects(gathered(decompress(pieces(wrong))), { code: 'DATA_LOSS' });
  }
});

test('a bomb is inflated only as far as it is read', async () => {
  const zeros = Buffer.alloc(2 ** 26);
  for (const stored of [gzipSync(zeros, { level: 1 }), zstdCompressSync(zeros)]) {
    const before = process.memoryUsage().arrayBuffers;
    let read = 0;
    for await (const chunk of decompress(pieces(stored, stored.length))) {
      assert.ok(chunk.length <= 256 * 1024);
      if ((read += chunk.length) > 2 ** 20) break;
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 23);
  }
});

test('a source that fails fails the stream, with its own error', async () => {
  const gone = new Error('gone');
  async function* failing(): Bytes {
    yield gzipSync('x');
    throw gone;
  }
  await assert.rejects(gathered(compress(failing(), 'gzip')), gone);
  await assert.rejects(gathered(decompress(failing())), gone);
});

test('a reader that stops early stops the source', async () => {
  for (const read of [
    (source: Bytes) => compress(source, 'gzip', { level: 1 }),
    (source: Bytes) => compress(source, 'zstd'),
    (source: Bytes) => decompress(source),
  ]) {
    let [running, made] = [true, 0];
    async function* endless(): Bytes {
      try {
        for (; made < 2000; made++) yield gzipSync(noise(100_000), { level: 0 });
      } finally {
        running = false;
      }
    }
    for await (const _ of read(endless())) break;
    assert.deepEqual([running, made < 100], [false, true]);
  }
});

test('an abort ends the stream with its reason', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const aborting = async (stream: Bytes): Promise<void> => {
    for await (const _ of stream) stop.abort(reason);
  };
  const { signal } = stop;
  const stored = gzipSync(Buffer.alloc(2 ** 22));
  await assert.rejects(aborting(decompress(pieces(stored), { signal })), reason);
  await assert.rejects(aborting(compress(pieces(MIXED), 'zstd', { signal })), reason);
});
