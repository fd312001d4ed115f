import { createHash } from 'node:crypto';
import { closeSync, readdirSync, readSync } from 'node:fs';
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openat, readlinkat } from '../sys/at.ts';
import { findat } from '../sys/stat.ts';
import { allXattrs } from '../sys/xattr.ts';
import type { FileTree, TreeStat } from '../union/tree.ts';

/**
 * A file tree as text, one line a path in byte order, tab-separated, so that a mount, a union and
 * what another tool unpacked can be compared, and a difference reads as a diff:
 *
 *     path  type  mode  uid:gid  size  mtime.ns  names  content, target or device  xattrs
 *
 * `names` counts the paths seen here that are hard links of one file, and the first of them stands
 * in every other's place for the content. Sizes of directories are not compared.
 */
export interface DescribeOptions {
  /** Times of directories: where tools create entries after the directory's time was set. Default true. */
  readonly directoryTimes?: boolean;
  /** The line of the tree's root. Default true. */
  readonly root?: boolean;
}

export async function describeTree(tree: FileTree, options: DescribeOptions = {}): Promise<string> {
  const lines = new Lines(options);
  for (const { raw, stat } of tree.walk()) {
    const path = Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('latin1');
    const hash = createHash('sha256');
    if (stat.type === 'file')
      for await (const chunk of tree.createReadStream(raw)) hash.update(chunk);
    lines.add({ path, ...stat, content: contentOf(stat, () => hash.digest('hex')) });
  }
  return lines.text();
}

/** @param directory a byte string on systems where that matters */
export function describeDirectory(directory: string, options: DescribeOptions = {}): string {
  const lines = new Lines(options);
  const visit = (dirfd: number, name: string, path: string): void => {
    const found = findat(dirfd, name);
    // Overlayfs lists whiteouts that delete nothing, and then denies that they exist.
    if (!found) return;
    const { rdev, ...stat } = found;
    const type = TYPES[(stat.mode >> 12) & 15]!;
    const target = type === 'symlink' ? decoded(readlinkat(dirfd, name)) : undefined;
    const major = (rdev >>> 8) & 0xfff;
    const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
    const xattrs = allXattrs({ dirfd, name });
    const content = contentOf({ type, target, major, minor }, () => hashOf(dirfd, name));
    lines.add({ path, ...stat, ino: `${stat.dev} ${stat.ino}`, type, xattrs, content });
    if (type !== 'directory') return;
    const fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      const below = path === '/' ? '/' : `${path}/`;
      for (const child of readdirSync(`/proc/self/fd/${fd}`, 'latin1'))
        visit(fd, child, below + child);
    } finally {
      closeSync(fd);
    }
  };
  const top = openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  try {
    visit(top, '.', '/');
  } finally {
    closeSync(top);
  }
  return lines.text();
}

const TYPES: Readonly<Record<number, TreeStat['type']>> = {
  1: 'fifo',
  2: 'char',
  4: 'directory',
  6: 'block',
  8: 'file',
  10: 'symlink',
  12: 'socket',
};

interface Described extends Pick<
  TreeStat,
  'type' | 'mode' | 'uid' | 'gid' | 'size' | 'mtime' | 'mtimeNs' | 'ino' | 'xattrs'
> {
  readonly path: string;
  readonly content: string;
}

class Lines {
  readonly #options: DescribeOptions;
  readonly #all: Described[] = [];

  constructor(options: DescribeOptions) {
    this.#options = options;
  }

  add(file: Described): void {
    if (file.path !== '/' || this.#options.root !== false) this.#all.push(file);
  }

  text(): string {
    this.#all.sort((a, b) => (a.path < b.path ? -1 : 1));
    const names = new Map<string, Described[]>();
    for (const file of this.#all) {
      if (file.type === 'directory') continue;
      const known = names.get(file.ino);
      if (known) known.push(file);
      else names.set(file.ino, [file]);
    }
    return this.#all.map((file) => this.#line(file, names.get(file.ino) ?? [file])).join('\n');
  }

  #line(file: Described, names: readonly Described[]): string {
    const directory = file.type === 'directory';
    const timed = !directory || this.#options.directoryTimes !== false;
    const xattrs = file.xattrs.map(
      ({ name, value }) => `${escaped(name)}=${Buffer.from(value).toString('hex')}`,
    );
    return [
      escaped(file.path),
      file.type,
      (file.mode & 0o7777).toString(8),
      `${file.uid}:${file.gid}`,
      directory ? '-' : file.size,
      timed ? `${file.mtime}.${String(file.mtimeNs).padStart(9, '0')}` : '-',
      names.length,
      names[0] === file ? file.content : `= ${escaped(names[0]!.path)}`,
      xattrs.sort().join(' '),
    ].join('\t');
  }
}

function contentOf(
  { type, target, major, minor }: Pick<TreeStat, 'type' | 'target' | 'major' | 'minor'>,
  hash: () => string,
): string {
  if (type === 'file') return hash();
  if (type === 'char' || type === 'block') return `${major}:${minor}`;
  return target ?? '-';
}

function hashOf(dirfd: number, name: string): string {
  const fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW);
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1 << 18);
  try {
    for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer))
      hash.update(buffer.subarray(0, read));
    return hash.digest('hex');
  } finally {
    closeSync(fd);
  }
}

const decoded = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

const escaped = (bytes: string): string =>
  bytes.replace(
    /[^\u0021-\u007e]|\\/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
