import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip, createZstdCompress } from 'node:zlib';
import type { Abortable, Bytes } from './bytes.ts';
import { type Compression, SNIFF_LENGTH, sniffCompression } from './compression.ts';
import { Inflation } from './inflate.ts';
import { withStart } from './with-start.ts';

export interface DecompressOptions extends Abortable {
  /** Default: what the first bytes say. */
  readonly compression?: Compression | undefined;
  /** A hint, see {@link sniffCompression}. */
  readonly mediaType?: string | undefined;
}

/**
 * Inflates `stored`. Holds one piece of 256 KiB at a time, however well the bytes are compressed.
 * @throws DATA_LOSS when they are damaged or cut; RESOURCE_EXHAUSTED for zstd with too large a window
 */
export async function* decompress(stored: Bytes, options: DecompressOptions = {}): Bytes {
  const { signal, mediaType } = options;
  let { compression } = options;
  using stack = new DisposableStack();
  let inflation: Inflation | undefined;
  for await (const chunk of withStart(stored, SNIFF_LENGTH)) {
    signal?.throwIfAborted();
    compression ??= sniffCompression(chunk, mediaType);
    if (compression === 'none') {
      if (chunk.length > 0) yield chunk;
      continue;
    }
    inflation ??= stack.use(new Inflation(compression));
    for (const piece of inflation.pieces(chunk)) {
      yield Buffer.from(piece);
      signal?.throwIfAborted();
    }
  }
  inflation?.end();
}

export interface CompressOptions extends Abortable {
  /** Of gzip 1 to 9, default 6; of zstd 1 to 19, default 3. */
  readonly level?: number | undefined;
}

/** In bytes. */
const CHUNK = 256 * 1024;
/** Where gzip says which system it ran on, and what it says if that is nobody's business (RFC 1952). */
const [OS, UNKNOWN] = [9, 0xff];

/**
 * Compresses `plain`. The same bytes give the same bytes with the same version of zlib or zstd:
 * no time, name or system is written down. Zstd frames carry a checksum, as gzip members do.
 */
export async function* compress(
  plain: Bytes,
  compression: Compression,
  { level, signal }: CompressOptions = {},
): Bytes {
  if (compression === 'none') {
    yield* plain;
    return;
  }
  const packer = compression === 'gzip' ? gzip(level) : zstd(level);
  const source = Readable.from(plain, { objectMode: false });
  const done = pipeline(source, packer).catch(() => {}); // the iteration below throws it
  try {
    let isFirst = compression === 'gzip';
    for await (const chunk of packer as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      if (isFirst) chunk[OS] = UNKNOWN;
      isFirst = false;
      yield chunk;
    }
  } finally {
    packer.destroy();
    await done;
  }
}

const gzip = (level = 6) => createGzip({ level, chunkSize: CHUNK });

const zstd = (level = 3) =>
  createZstdCompress({
    chunkSize: CHUNK,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
  });
