import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { constants, zstdCompressSync } from 'node:zlib';
import { chooseModel } from '../../deflate/choose.ts';
import { describe } from '../../deflate/describe.ts';
import { fromFile } from '../../deflate/plain.ts';
import type { Fill } from '../../deflate/bit-reader.ts';
import { isCode } from '../../errors.ts';
import { sniffCompression } from '../../io/compression.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { fromNode } from '../../sys/errno.ts';
import { followRecipe, readAll } from './follow-recipe.ts';
import type { Recipe } from './recipe.ts';
import { compressZstd, findZstdRecipe } from './zstd.ts';

export interface Finding {
  readonly target: Pick<Descriptor, 'digest' | 'size' | 'mediaType'>;
  /** The file with the blob, and the one with the tar that it inflates to. */
  readonly blob: string;
  readonly tar: string;
}

/** A recipe that was followed once, and gave the blob; or why there is none. */
export type Found =
  | {
      readonly recipe: Recipe;
      readonly data: Uint8Array;
      /** What following it took of the processor. */
      readonly milliseconds: number;
    }
  | { readonly reason: string };

/** What a recipe may take of what it saves. Beyond, the blob is the better way to keep it. */
const WORTH = 0.25;

/**
 * Looks for a recipe of a blob, and proves it by following it.
 */
export async function findRecipe(finding: Finding): Promise<Found> {
  const { target, tar, blob } = finding;
  using file = openFile(blob);
  const start = Buffer.alloc(18);
  const length = readSync(file.fd, start, 0, start.length, 0);
  const compression = sniffCompression(start.subarray(0, length), target.mediaType);
  const found =
    compression === 'none'
      ? { recipe: { kind: 'none' as const }, data: Buffer.alloc(0) }
      : compression === 'gzip'
        ? gzipRecipe(finding)
        : await zstdRecipe(finding, start);
  if ('reason' in found) return found;
  const before = process.threadCpuUsage();
  try {
    await followRecipe({ target, tar, ...found }, () => {});
  } catch (error) {
    if (!isCode(error, 'DATA_LOSS')) throw error;
    return { reason: 'its recipe was tried, and gave other bytes' };
  }
  const { user, system } = process.threadCpuUsage(before);
  return { ...made(found), milliseconds: Math.ceil((user + system) / 1000) };
}

type Made = { readonly recipe: Recipe; readonly data: Uint8Array };
const made = ({ recipe, data }: Made): Made => ({ recipe, data });

function gzipRecipe({ target, blob, tar }: Finding): Made | { reason: string } {
  using stored = openFile(blob);
  using plain = openFile(tar);
  const [from, data] = [() => filler(stored.fd), () => fromFile(plain.fd)];
  try {
    const { model } = chooseModel({ stored: from, data });
    // Numbers compress to about two thirds.
    const limit = Math.ceil(target.size * WORTH * 2) + 4096;
    const script = describe(from(), data(), model, { limit });
    const packed = zstdCompressSync(script, {
      params: { [constants.ZSTD_c_compressionLevel]: 12 },
    });
    if (packed.length > Math.max(target.size * WORTH, 512)) return { reason: unlike(model.name) };
    return {
      recipe: { kind: 'gzip', format: 1, model },
      data: packed,
    };
  } catch (error) {
    if (isCode(error, 'RESOURCE_EXHAUSTED')) return { reason: unlike('zlib, gzip or Go') };
    if (!isCode(error, 'DATA_LOSS') && !isCode(error, 'NOT_IMPLEMENTED')) throw error;
    return { reason: error.message };
  }
}

const unlike = (name: string): string =>
  `its gzip encoder is too unlike ${name}: a recipe would take more than ${WORTH * 100} % of the blob`;

async function zstdRecipe(
  { blob, tar }: Finding,
  start: Uint8Array,
): Promise<Made | { reason: string }> {
  using plain = openFile(tar);
  const { size } = fstatSync(plain.fd);
  const recipe = await findZstdRecipe(blob, start, (one) =>
    compressZstd(readAll(plain.fd), size, one),
  );
  if (recipe !== undefined) return { recipe, data: Buffer.alloc(0) };
  return {
    reason: `no level of libzstd ${process.versions.zstd} gives these bytes: another version or encoder made them`,
  };
}

function openFile(path: string): Disposable & { readonly fd: number } {
  try {
    const fd = openSync(path, 'r');
    return { fd, [Symbol.dispose]: () => closeSync(fd) };
  } catch (error) {
    throw fromNode(error);
  }
}

/** Reads an open file from its beginning. */
function filler(fd: number): Fill {
  const chunk = Buffer.alloc(256 * 1024);
  let at = 0;
  return () => {
    const count = readSync(fd, chunk, 0, chunk.length, at);
    at += count;
    return count === 0 ? undefined : chunk.subarray(0, count);
  };
}
