import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fromNode } from '../sys/errno.ts';
import { syncDirectory } from '../sys/sync.ts';

export interface WriteAtomicOptions {
  /** Default 0644. */
  readonly mode?: number;
  /** On the disk before this returns; default true. Without it a power loss may leave an empty file. */
  readonly durable?: boolean;
}

/** Replaces the file at `path`: readers see the whole old or the whole new content, also after a crash. */
export function writeAtomic(
  path: string,
  content: Uint8Array | string,
  { mode = 0o644, durable = true }: WriteAtomicOptions = {},
): void {
  const temporary = `${path}.${process.pid}-${randomBytes(6).toString('hex')}.new`;
  try {
    const fd = openSync(temporary, 'wx', mode);
    try {
      writeFileSync(fd, content);
      if (durable) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    if (durable) syncDirectory(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw fromNode(error);
  }
}
