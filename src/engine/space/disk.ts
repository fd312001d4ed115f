import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { treeUsage } from '../../fs/usage.ts';
import { errnoOf, fromNode } from '../../sys/errno.ts';
import { hasKernel } from '../../sys/binding.ts';

/**
 * What a directory takes on its disk, in bytes: whole blocks, hard links once. 0 when it is not there.
 */
export async function directorySize(path: string): Promise<number> {
  try {
    return hasKernel() ? (await treeUsage(path)).size : await slowly(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw fromNode(error);
  }
}

/** Off Linux nothing but plain files and directories of ours is in a store. */
async function slowly(path: string): Promise<number> {
  let sum = await fileSize(path);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    sum += entry.isDirectory() ? await slowly(below) : await fileSize(below);
  }
  return sum;
}

/** What a file takes on its disk, in bytes; 0 when it is not there. */
export async function fileSize(path: string): Promise<number> {
  try {
    const { blocks, size } = await lstat(path);
    return blocks === undefined ? size : blocks * 512;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw fromNode(error);
  }
}
