import { closeSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hasKernel } from './binding.ts';
import { fromNode } from './errno.ts';
import { syncfs } from './file.ts';
import { toBytes } from './byte-string.ts';

/** Makes the content of a file durable, by whomever it was written. */
export const syncFile = (path: string): void => withOpen(path, fsyncSync, 'r+');

/** Makes names in `directory` durable: what was created, renamed or removed there. */
export function syncDirectory(directory: string): void {
  // Windows opens no directories, and writes names through anyway.
  if (process.platform !== 'win32') withOpen(directory, fsyncSync);
}

/**
 * Writes everything of the file system of `path` to the disk. It has begun when this returns.
 * @returns `false` where the system has no such call: then each file must have been synced by itself
 */
export async function syncFileSystem(path: string): Promise<boolean> {
  if (!hasKernel()) return false;
  const directory = opened(path, 'r');
  try {
    await syncfs(directory, toBytes(path));
  } finally {
    closeSync(directory);
  }
  return true;
}

/** Makes the files in `directory` durable where {@link syncFileSystem} cannot do it later. */
export function syncFilesIn(directory: string): void {
  if (hasKernel()) return;
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true }))
      if (entry.isFile()) syncFile(join(directory, entry.name));
  } catch (error) {
    throw fromNode(error);
  }
}

function opened(path: string, flags: string): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw fromNode(error);
  }
}

function withOpen(path: string, use: (fd: number) => void, flags = 'r'): void {
  const fd = opened(path, flags);
  try {
    use(fd);
  } catch (error) {
    throw fromNode(error);
  } finally {
    closeSync(fd);
  }
}
