import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip, createZstdCompress } from 'node:zlib';
import type { Bytes } from './bytes.ts';
import { type Compression, SNIFF_LENGTH, sniffCompression } from './compression.ts';
import { openInflate } from './inflate.ts';

/** Inflates `stored`, told by its first bytes or as `compression` says. */
export async function* decompress(stored: Bytes, compression?: Compression): Bytes {
  const ready: Uint8Array[] = [];
  let start = Buffer.alloc(0);
  let kind = compression;
  using stack = new DisposableStack();
  const open = (found: Compression) =>
    stack.use(openInflate(found, (chunk) => ready.push(Uint8Array.from(chunk))));
  let inflate = kind && open(kind);
  for await (const chunk of stored) {
    let input = chunk;
    if (inflate === undefined) {
      start = Buffer.concat([start, chunk]);
      if (start.length < SNIFF_LENGTH) continue;
      [kind, input] = [sniffCompression(start), start];
      inflate = open(kind);
    }
    inflate.write(input);
    yield* ready.splice(0);
  }
  if (inflate === undefined) {
    inflate = open(sniffCompression(start));
    inflate.write(start);
  }
  inflate.end();
  yield* ready.splice(0);
}

export interface CompressOptions {
  /** Of gzip 1 to 9, default 6; of zstd 1 to 19, default 3. */
  readonly level?: number;
}

/** Compresses `plain`. The same bytes give the same bytes, on the same version of zlib or zstd. */
export async function* compress(
  plain: Bytes,
  compression: Compression,
  { level }: CompressOptions = {},
): Bytes {
  if (compression === 'none') {
    yield* plain;
    return;
  }
  const packer =
    compression === 'gzip'
      ? createGzip({ level: level ?? 6, chunkSize: 256 * 1024 })
      : createZstdCompress({
          params: {
            [constants.ZSTD_c_compressionLevel]: level ?? 3,
            [constants.ZSTD_c_checksumFlag]: 1,
          },
        });
  const out = new PassThrough({ highWaterMark: 2 ** 20 });
  const done = pipeline(Readable.from(plain, { objectMode: false }), packer, out);
  done.catch(() => undefined);
  yield* out;
  await done;
}
