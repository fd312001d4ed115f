import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { fromFile } from '../../deflate/plain.ts';
import { recreate } from '../../deflate/recreate.ts';
import { SCRIPT_LIMIT } from '../../deflate/script.ts';
import { MicaError } from '../../errors.ts';
import type { Bytes } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { algorithmOf, type Digest } from '../../oci/digest.ts';
import { fromNode } from '../../sys/errno.ts';
import { isUsable, type Recipe } from './recipe.ts';
import { compressZstd } from './zstd.ts';

export interface Following {
  /** What must come out. */
  readonly target: Pick<Descriptor, 'digest' | 'size'>;
  /** The file with the layer's uncompressed tar. */
  readonly tar: string;
  readonly recipe: Recipe;
  /** Of gzip: its script, compressed. */
  readonly data: Uint8Array;
}

/**
 * Makes a blob again.
 * @param sink - gets the bytes, before they are known to be the right ones
 * @throws DATA_LOSS when something else came out
 */
export async function followRecipe(
  { target, tar, recipe, data }: Following,
  sink: (bytes: Uint8Array) => void,
): Promise<void> {
  if (!isUsable(recipe))
    throw new MicaError(
      'FAILED_PRECONDITION',
      `${target.digest} was compressed by another version of libzstd than this Node has, ${process.versions.zstd}`,
    );
  const hash = createHash(algorithmOf(target.digest));
  let size = 0;
  const measured = (bytes: Uint8Array): void => {
    size += bytes.length;
    if (size > target.size) throw other(target.digest);
    hash.update(bytes);
    sink(bytes);
  };
  const fd = open(tar);
  try {
    if (recipe.kind === 'gzip') {
      const script = zstdDecompressSync(data, { maxOutputLength: SCRIPT_LIMIT });
      recreate(fromFile(fd), recipe.model, script, measured);
    } else {
      const plain = readAll(fd);
      const { size: length } = fstatSync(fd);
      const stored = recipe.kind === 'zstd' ? compressZstd(plain, length, recipe) : plain;
      for await (const bytes of stored) measured(bytes);
    }
  } finally {
    closeSync(fd);
  }
  if (size !== target.size || !target.digest.endsWith(hash.digest('hex')))
    throw other(target.digest);
}

const other = (digest: Digest): MicaError =>
  new MicaError(
    'DATA_LOSS',
    `${digest}: its recipe gives other bytes: the layer's tar was changed`,
  );

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw fromNode(error);
  }
}

/** In pieces of their own, as compression by other threads needs them. */
export async function* readAll(fd: number): Bytes {
  for (let at = 0; ;) {
    const piece = Buffer.allocUnsafeSlow(1 << 20);
    const count = readSync(fd, piece, 0, piece.length, at);
    if (count === 0) return;
    at += count;
    yield piece.subarray(0, count);
  }
}
