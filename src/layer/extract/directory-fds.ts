import { close, O_DIRECTORY, O_PATH, opendirat } from '../../sys/at.ts';
import { Root } from '../../fs/root.ts';

const MAX_OPEN = 256;

/**
 * Descriptors of a tree's directories by path, the last few hundred kept open. Paths have no
 * symbolic links, and one that turns up all the same is refused.
 */
export class DirectoryFds implements Disposable {
  readonly #root: Root;
  readonly #fds = new Map<string, number>();
  #lastPath = '';
  #lastFd: number;

  constructor(path: string) {
    this.#root = new Root(path);
    this.#lastFd = this.#root.fd;
  }

  /** For names in directory `path`; good until the next call. */
  fd(path: string): number {
    if (path === this.#lastPath) return this.#lastFd;
    const fd = path === '' ? this.#root.fd : (this.#fds.get(path) ?? this.#open(path));
    this.#lastPath = path;
    this.#lastFd = fd;
    return fd;
  }

  /** Like {@link fd} for `path`; the next call may ask for `other`, and both are good then. */
  both(path: string, other: string): number {
    // Opening one may close the oldest few, but then there is room for the other.
    this.fd(path);
    this.fd(other);
    return this.fd(path);
  }

  /** The directory `path` is about to go. */
  forget(path: string): void {
    this.fd('');
    for (const [known, fd] of this.#fds)
      if (known === path || known.startsWith(`${path}/`)) this.#close(known, fd);
  }

  [Symbol.dispose](): void {
    for (const [path, fd] of this.#fds) this.#close(path, fd);
    this.#root[Symbol.dispose]();
  }

  #open(path: string): number {
    if (this.#fds.size >= MAX_OPEN) this.#closeOldest();
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? this.#root.fd : this.#fds.get(path.slice(0, slash));
    const fd =
      parent === undefined
        ? this.#root.openExact(path, O_PATH | O_DIRECTORY)
        : opendirat(parent, path.slice(slash + 1));
    this.#fds.set(path, fd);
    return fd;
  }

  #closeOldest(): void {
    let left = MAX_OPEN / 2;
    for (const [path, fd] of this.#fds) {
      this.#close(path, fd);
      if (--left === 0) return;
    }
  }

  #close(path: string, fd: number): void {
    close(fd);
    this.#fds.delete(path);
  }
}
