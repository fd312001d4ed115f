import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Abortable } from '../../../io/bytes.ts';
import { errnoOf, fromNode } from '../../../sys/errno.ts';
import type { Usage } from '../../driver.ts';

/** What a tree takes by what every system tells: whole bytes, hard links as often as they are there. */
export async function treeSize(directory: string, { signal }: Abortable = {}): Promise<Usage> {
  let [size, inodes] = [0, 0];
  const waiting = [directory];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    signal?.throwIfAborted();
    for (const entry of entriesOf(at)) {
      const path = join(at, entry.name);
      inodes++;
      if (entry.isDirectory()) waiting.push(path);
      else size += lstatSync(path).size;
    }
    await setImmediate();
  }
  return { size, inodes };
}

function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fromNode(error);
  }
}
