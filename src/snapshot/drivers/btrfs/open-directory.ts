import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openat } from '../../../sys/at.ts';
import { toBytes } from '../../../sys/byte-string.ts';
import { errnoOf } from '../../../sys/errno.ts';
import { openSubvolume } from '../../../sys/btrfs/subvolume.ts';

export interface OpenDirectory extends Disposable {
  readonly fd: number;
}

/** @throws NOT_FOUND */
export const openDirectory = (path: string): OpenDirectory =>
  opened(openat(AT_FDCWD, toBytes(path), O_RDONLY | O_DIRECTORY));

/** `undefined` where there is none. */
export function findDirectory(path: string): OpenDirectory | undefined {
  try {
    return openDirectory(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The root of subvolume `id`. @param fd - of anything on the file system */
export const openRoot = (fd: number, id: number): OpenDirectory => opened(openSubvolume(fd, id));

const opened = (fd: number): OpenDirectory => ({ fd, [Symbol.dispose]: () => close(fd) });
