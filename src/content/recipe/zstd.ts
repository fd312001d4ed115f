import { closeSync, openSync, readSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { constants, createZstdCompress } from 'node:zlib';
import type { Bytes } from '../../io/bytes.ts';
import type { ZstdRecipe } from './recipe.ts';

/** In bytes. */
const CHUNK = 256 * 1024;

/** Compresses a tar of `size` bytes as the recipe says. */
export async function* compressZstd(tar: Bytes, size: number, recipe: ZstdRecipe): Bytes {
  const packer = createZstdCompress({
    chunkSize: CHUNK,
    ...(recipe.sized && { pledgedSrcSize: size }),
    params: {
      [constants.ZSTD_c_compressionLevel]: recipe.level,
      [constants.ZSTD_c_checksumFlag]: recipe.checksum ? 1 : 0,
      [constants.ZSTD_c_contentSizeFlag]: recipe.sized ? 1 : 0,
      [constants.ZSTD_c_nbWorkers]: recipe.workers,
    },
  });
  const done = pipeline(Readable.from(tar, { objectMode: false }), packer).catch(() => {});
  try {
    yield* packer as AsyncIterable<Buffer>;
  } finally {
    packer.destroy();
    await done;
  }
}

/** Threads only matter in that there are any: then the data are cut into jobs. */
const WORKERS = [0, 1];
/** The likely ones first. */
const LEVELS = [3, 1, 19, 9, 2, 4, 5, 6, 7, 8, 10, 11, 12, 15, 18, 13, 14, 16, 17, 20, 21, 22];

/** What is worth trying for a blob that begins with these bytes (RFC 8878, 3.1.1.1). */
export function zstdCandidates(start: Uint8Array): ZstdRecipe[] {
  const descriptor = start[4]!;
  const sized = descriptor >> 6 !== 0 || (descriptor & 0x20) !== 0;
  const checksum = (descriptor & 0x04) !== 0;
  const version = process.versions.zstd ?? '';
  return WORKERS.flatMap((workers) =>
    LEVELS.map((level) => ({ kind: 'zstd' as const, version, level, checksum, sized, workers })),
  );
}

/** Whether `bytes` are those of the file at `path`. Stops where they differ. */
export async function isFile(bytes: Bytes, path: string): Promise<boolean> {
  const fd = openSync(path, 'r');
  try {
    let at = 0;
    const there = Buffer.alloc(CHUNK);
    for await (const chunk of bytes)
      for (let done = 0; done < chunk.length;) {
        const wanted = Math.min(there.length, chunk.length - done);
        const count = readSync(fd, there, 0, wanted, at);
        const piece = chunk.subarray(done, done + count);
        if (count === 0 || there.subarray(0, count).compare(piece) !== 0) return false;
        at += count;
        done += count;
      }
    return readSync(fd, there, 0, 1, at) === 0;
  } finally {
    closeSync(fd);
  }
}
