import { writeSync } from 'node:fs';
import { fromNode } from '../sys/errno.ts';

/** Writes all of `bytes` at the position of `fd`, which is the file `path`. */
export function writeAll(fd: number, bytes: Uint8Array, path: string): void {
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
  } catch (error) {
    throw fromNode(error, path);
  }
}
