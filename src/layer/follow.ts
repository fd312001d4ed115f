import { closeSync, openSync, readSync } from 'node:fs';
import { MicaError } from '../errors.ts';
import { fromNode } from '../sys/errno.ts';
import type { Available } from './available.ts';

/** In bytes: what is read at once. */
export const CHUNK: number = 256 * 1024;
/** Less is not worth waking up for; enough to tell a compression by its magic bytes. */
const MIN_CHUNK = 64 * 1024;

export interface Following {
  readonly available: Available;
  /** What the file must have in the end. */
  readonly size: number;
  readonly buffer: Buffer;
  /** Called before bytes are waited for. */
  readonly beforeWait: () => void;
}

/** The work was called off: whoever did it knows why. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/**
 * The bytes of a file that may still be growing, from its beginning, as far as `available` tells.
 * Every chunk lies at the beginning of `buffer`.
 * @throws DATA_LOSS when the file ends before `size`, or goes on after it; {@link Stopped}
 */
export async function* follow(
  path: string,
  { available, size, buffer, beforeWait }: Following,
): AsyncGenerator<Buffer, void, void> {
  const fd = openSync(path, 'r');
  try {
    for (let at = 0; ;) {
      const wanted = Math.min(at + MIN_CHUNK, size);
      if (available.bytes < wanted) beforeWait();
      const there = await available.waitFor(wanted);
      if (there === undefined) throw new Stopped();
      if (there > size) throw wrongSize(path, size, `at least ${there}`);
      if (there === at) {
        if (at < size) throw wrongSize(path, size, String(at));
        return;
      }
      const length = Math.min(there - at, buffer.length);
      const read = readSync(fd, buffer, 0, length, at);
      if (read === 0) throw wrongSize(path, size, String(at));
      at += read;
      yield buffer.subarray(0, read);
    }
  } catch (error) {
    throw fromNode(error);
  } finally {
    closeSync(fd);
  }
}

const wrongSize = (path: string, size: number, got: string): MicaError =>
  new MicaError('DATA_LOSS', `${path}: expected ${size} bytes, got ${got}`);
