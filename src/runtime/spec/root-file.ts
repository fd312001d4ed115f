import { closeSync, constants, fstatSync, readFileSync } from 'node:fs';
import { isCode, MicaError } from '../../errors.ts';
import type { Root } from '../../fs/root.ts';

/** Nobody has a longer list of users; a hostile image could. In bytes. */
const MAX_SIZE = 16 * 1024 * 1024;

/**
 * Lines of a text file of a container's root, whatever links lead to it inside; none where it is
 * missing. Opening it neither waits for a writer (of a pipe) nor wakes a device.
 * @throws INVALID_ARGUMENT when it is no regular file; RESOURCE_EXHAUSTED when it is huge
 */
export function readRootLines(root: Root, path: string): string[] {
  let fd: number;
  try {
    fd = root.open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if (isCode(error, 'NOT_FOUND')) return [];
    throw error;
  }
  try {
    const found = fstatSync(fd);
    if (!found.isFile())
      throw new MicaError('INVALID_ARGUMENT', `/${path} of the image is not a regular file`);
    if (found.size > MAX_SIZE)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        `/${path} of the image has ${found.size} bytes, more than the ${MAX_SIZE} allowed`,
      );
    return readFileSync(fd, 'utf8').split('\n');
  } finally {
    closeSync(fd);
  }
}
