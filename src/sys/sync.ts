import { closeSync, fsyncSync, openSync } from 'node:fs';
import { hasKernel } from './binding.ts';
import { fromNode } from './errno.ts';
import { syncfs } from './file.ts';
import { toBytes } from './byte-string.ts';

/** Makes names in `directory` durable: what was created, renamed or removed there. */
export function syncDirectory(directory: string): void {
  // Windows opens no directories, and writes names through anyway.
  if (process.platform !== 'win32') withOpen(directory, fsyncSync);
}

/**
 * Writes everything of the file system of `path` to the disk.
 * @returns `false` where the system has no such call: then each file must have been synced by itself
 */
export function syncFileSystem(path: string): boolean {
  if (!hasKernel()) return false;
  withOpen(path, (fd) => syncfs(fd, toBytes(path)));
  return true;
}

function withOpen(path: string, use: (fd: number) => void): void {
  try {
    const fd = openSync(path, 'r');
    try {
      use(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fromNode(error);
  }
}
