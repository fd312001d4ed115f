import { setImmediate } from 'node:timers/promises';
import * as at from '../sys/at.ts';
import { toBytes } from '../sys/byte-string.ts';
import { fchmod, fchown, futimens } from '../sys/file.ts';
import { allXattrs, isXattrRefusal, setXattr, type XattrTarget } from '../sys/xattr.ts';
import { copyData } from './data.ts';
import { isDirectory, walk, type WalkEntry } from './walk.ts';

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
/** Files copied before others get their turn. */
const SLICE = 64;

/**
 * Copies what is in the directory `from` into the existing, empty directory `to`, the two
 * directories' own attributes included: types, modes, owners, times to the nanosecond, xattrs, hard
 * links, holes, devices. Content is shared where the file system can.
 */
export async function copyTree(
  from: string,
  to: string,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { signal } = options;
  signal?.throwIfAborted();
  using source = directory(from);
  using copy = new TreeCopy(to);
  let copied = 0;
  for (const entry of walk(source.fd)) {
    copy.add(entry);
    if (++copied % SLICE === 0) await setImmediate();
    signal?.throwIfAborted();
  }
}

function directory(path: string): Disposable & { readonly fd: number } {
  const fd = at.openat(at.AT_FDCWD, toBytes(path), at.O_DIRECTORY);
  return { fd, [Symbol.dispose]: () => at.close(fd) };
}

class TreeCopy implements Disposable {
  /** Descriptors of the directories that are being filled, outermost first. */
  readonly #open: number[];
  /** First path of each file with several names, relative to the root. */
  readonly #linked = new Map<string, string>();

  constructor(to: string) {
    this.#open = [at.openat(at.AT_FDCWD, toBytes(to), at.O_RDONLY | at.O_DIRECTORY)];
  }

  add(entry: WalkEntry): void {
    if (entry.path === '') {
      if (entry.phase === 'after') this.#describe(this.#open[0]!, entry);
    } else if (!isDirectory(entry.stat)) this.#file(entry);
    else if (entry.phase === 'before') this.#enter(entry);
    else this.#leave(entry);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.splice(0)) at.close(fd);
  }

  get #here(): number {
    return this.#open.at(-1)!;
  }

  #enter({ name }: WalkEntry): void {
    at.mkdirat(this.#here, name, 0o700);
    this.#open.push(at.openat(this.#here, name, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW));
  }

  #leave(entry: WalkEntry): void {
    this.#describe(this.#here, entry);
    at.close(this.#open.pop()!);
  }

  #file(entry: WalkEntry): void {
    const { name, path, stat } = entry;
    if (stat.nlink > 1) {
      const first = this.#linked.get(`${stat.dev} ${stat.ino}`);
      if (first !== undefined) return at.linkat(this.#open[0]!, first, this.#here, name);
      this.#linked.set(`${stat.dev} ${stat.ino}`, path);
    }
    if ((stat.mode & S_IFMT) === S_IFREG) this.#regular(entry);
    else this.#special(entry);
  }

  #regular(entry: WalkEntry): void {
    const { dirfd, name, stat } = entry;
    const from = at.openat(dirfd, name, at.O_RDONLY | at.O_NOFOLLOW);
    try {
      const flags = at.O_WRONLY | at.O_CREAT | at.O_EXCL | at.O_NOFOLLOW;
      const to = at.openat(this.#here, name, flags, 0o600);
      try {
        copyData(from, to, stat.size, name);
        this.#describe(to, entry, from);
      } finally {
        at.close(to);
      }
    } finally {
      at.close(from);
    }
  }

  /** A link, device, fifo or socket: nothing that may be opened. */
  #special({ dirfd, name, stat }: WalkEntry): void {
    const isLink = (stat.mode & S_IFMT) === S_IFLNK;
    if (isLink) at.symlinkat(at.readlinkat(dirfd, name), this.#here, name);
    else at.mknodat(this.#here, name, stat.mode, stat.rdev);
    at.fchownat(this.#here, name, stat.uid, stat.gid);
    if (!isLink) at.fchmodat(this.#here, name, stat.mode & 0o7777);
    copyXattrs({ dirfd, name }, { dirfd: this.#here, name });
    at.utimensat(this.#here, name, stat.mtime, stat.mtimeNs);
  }

  #describe(to: number, { dirfd, name, stat }: WalkEntry, from?: number): void {
    fchown(to, stat.uid, stat.gid, name);
    fchmod(to, stat.mode & 0o7777, name);
    copyXattrs(from ?? { dirfd, name }, to);
    futimens(to, stat.mtime, stat.mtimeNs, name);
  }
}

function copyXattrs(from: XattrTarget, to: XattrTarget): void {
  for (const { name, value } of allXattrs(from)) {
    try {
      setXattr(to, name, value);
    } catch (error) {
      if (!isXattrRefusal(error)) throw error;
    }
  }
}
