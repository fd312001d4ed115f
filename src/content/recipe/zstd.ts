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

/** The likely ones first. */
const LEVELS = [3, 1, 19, 9, 2, 4, 5, 6, 7, 8, 10, 11, 12, 15, 18, 13, 14, 16, 17, 20, 21, 22];
/** With threads, higher ones gather hundreds of megabytes before they write anything. */
const MAX_WITH_THREADS = 19;
/** Bytes that tell the level's window. */
const HEADER = 6;

/**
 * The recipe that gives the file at `blob`, if there is one (RFC 8878, 3.1.1.1).
 * @param start - of the blob
 * @param compress - compresses the tar by a recipe
 */
export async function findZstdRecipe(
  blob: string,
  start: Uint8Array,
  compress: (recipe: ZstdRecipe) => Bytes,
): Promise<ZstdRecipe | undefined> {
  const descriptor = start[4]!;
  const sized = descriptor >> 6 !== 0 || (descriptor & 0x20) !== 0;
  const checksum = (descriptor & 0x04) !== 0;
  const version = process.versions.zstd ?? '';
  const threaded: ZstdRecipe[] = [];
  for (const level of LEVELS) {
    const recipe = { kind: 'zstd', version, level, checksum, sized, workers: 0 } as const;
    const same = await agreement(compress(recipe), blob);
    if (same === 'all') return recipe;
    // With any threads the data are cut into jobs, which costs more to find out.
    if (same >= HEADER && level <= MAX_WITH_THREADS) threaded.push({ ...recipe, workers: 1 });
  }
  for (const recipe of threaded)
    if ((await agreement(compress(recipe), blob)) === 'all') return recipe;
  return undefined;
}

/** How many bytes of `bytes` and of the file at `path` are the same, up to the first that is not. */
async function agreement(bytes: Bytes, path: string): Promise<number | 'all'> {
  const fd = openSync(path, 'r');
  try {
    let at = 0;
    const there = Buffer.alloc(CHUNK);
    for await (const chunk of bytes)
      for (let done = 0; done < chunk.length;) {
        const wanted = Math.min(there.length, chunk.length - done);
        const count = readSync(fd, there, 0, wanted, at);
        const same = commonLength(there.subarray(0, count), chunk.subarray(done, done + wanted));
        at += same;
        done += same;
        if (same < wanted) return at;
      }
    return readSync(fd, there, 0, 1, at) === 0 ? 'all' : at;
  } finally {
    closeSync(fd);
  }
}

function commonLength(one: Buffer, other: Uint8Array): number {
  if (one.equals(other)) return one.length;
  const differs = one.findIndex((byte, at) => byte !== other[at]);
  return differs < 0 ? Math.min(one.length, other.length) : Math.min(differs, other.length);
}
