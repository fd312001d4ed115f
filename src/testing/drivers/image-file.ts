import { existsSync } from 'node:fs';
import { mkdtempDisposable, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeSpace } from '../../sys/features.ts';
import type { LargeEnvironment } from './suite.ts';

const MIB = 1 << 20;
const MEMORY = '/dev/shm';

/**
 * A sparse file for a file system or a pool: in memory where there is enough, for every step of a
 * driver waits for its disk; in a benchmark's own directory, where that is what is measured.
 */
export async function imageFile(
  mib: number,
  large?: LargeEnvironment,
): Promise<AsyncDisposable & { readonly path: string }> {
  const isRoomy = existsSync(MEMORY) && freeSpace(MEMORY).bytes > 2 * mib * MIB;
  const within = large?.directory ?? (isRoomy ? MEMORY : tmpdir());
  const directory = await mkdtempDisposable(join(within, 'mica-image-'));
  const path = join(directory.path, 'image');
  await writeFile(path, '');
  await truncate(path, (large?.mib ?? mib) * MIB);
  return { path, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}
