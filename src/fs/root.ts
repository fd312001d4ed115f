import {
  AT_FDCWD,
  close,
  O_DIRECTORY,
  O_PATH,
  openat,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../sys/at.ts';
import { toBytes } from '../sys/byte-string.ts';

/** A directory tree that names inside it never lead out of. Names are byte strings. */
export class Root implements Disposable {
  readonly #fd: number;
  #open = true;

  /** @param path - of this process' own world: links in it are followed */
  constructor(path: string) {
    this.#fd = openat(AT_FDCWD, toBytes(path), O_PATH | O_DIRECTORY);
  }

  get fd(): number {
    return this.#fd;
  }

  /** Opens `path` with symbolic links resolved as if this were `/`. */
  open(path: string, flags: number): number {
    return this.#openat2(path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  }

  /** Opens `path`, which must hold no symbolic link at all. @throws INVALID_ARGUMENT when it does */
  openExact(path: string, flags: number): number {
    return this.#openat2(path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  }

  [Symbol.dispose](): void {
    if (this.#open) close(this.#fd);
    this.#open = false;
  }

  #openat2(path: string, flags: number, resolve: number): number {
    return openat2(this.#fd, path === '' ? '.' : path, { flags, resolve });
  }
}
