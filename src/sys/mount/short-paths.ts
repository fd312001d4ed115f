import { AT_FDCWD, close, O_PATH, openat } from '../at.ts';
import { toBytes } from '../byte-string.ts';

/**
 * Short names for long paths, good while this is not disposed of: the path is opened and named as
 * `/proc/self/fd/<n>`. Unlike a change of the working directory, nobody else notices.
 */
export class ShortPaths implements Disposable {
  readonly #fds: number[] = [];

  /** `path`, or a short name for it when it is longer than `limit` bytes. */
  path(path: string, limit: number): string {
    const bytes = toBytes(path);
    if (bytes.length <= limit) return path;
    const fd = openat(AT_FDCWD, bytes, O_PATH);
    this.#fds.push(fd);
    return `/proc/self/fd/${fd}`;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds.splice(0)) close(fd);
  }
}
