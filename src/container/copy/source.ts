import { constants, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { isCode, MicaError } from '../../errors.ts';
import { Root } from '../../fs/root.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import type { Change, Changes } from '../../layer/diff/change.ts';
import { treeChanges } from '../../layer/diff/diff.ts';
import { close, O_DIRECTORY, O_PATH, opendirat, readlinkat } from '../../sys/at.ts';
import { printable } from '../../sys/byte-string.ts';
import { errnoOf } from '../../sys/errno.ts';
import { type FileStat, statat } from '../../sys/stat.ts';
import { allXattrs } from '../../sys/xattr.ts';
import { archiveOfChanges } from '../../layer/diff/archive.ts';

const { S_IFMT, S_IFDIR, S_IFLNK } = constants;

/** What is to be copied from a tree: a file, or a directory with all that is in it. */
export interface CopySource {
  /** What it is to be called; '': it is the content of a directory. */
  readonly name: string;
  /** What it is called in the archive: another name if a link was followed. */
  readonly top: string;
  readonly isDirectory: boolean;
  /** Once. */
  archive(options?: Abortable): Bytes;
}

export interface CopySourceOptions {
  /** What a symbolic link at the path leads to, not the link. */
  readonly follow?: boolean | undefined;
}

/**
 * Lets `task` have what is at `path` of a tree as an archive. Links lead nowhere out of the tree.
 * @param top - of the tree, a directory of this machine
 * @param path - byte string; one that ends in `/.` means what is in the directory
 */
export async function withCopySource<T>(
  top: string,
  path: string,
  { follow = false }: CopySourceOptions,
  task: (source: CopySource) => Promise<T>,
): Promise<T> {
  using root = new Root(top);
  const contentOnly = /(?:^|\/)\.\/*$/.test(path);
  const clean = posix.resolve('/', path);
  const isFollowed = follow || contentOnly || path.endsWith('/') || clean === '/';
  const real = isFollowed ? found(path, () => realPath(root, clean)) : clean;
  const name = contentOnly ? '' : posix.basename(clean);
  using opened = new DisposableStack();
  const open = (what: () => number): number => opened.adopt(found(path, what), close);
  const directory = open(() => root.open(posix.dirname(real), O_PATH | O_DIRECTORY));
  const at = posix.basename(real);
  const stat = found(path, () => statat(directory, at));
  const isDirectory = (stat.mode & S_IFMT) === S_IFDIR;
  if (contentOnly && !isDirectory)
    throw new MicaError('FAILED_PRECONDITION', `${path} is not a directory`);
  // Held on to: a process in the tree may put a link in its place at any moment.
  const own = isDirectory ? open(() => opendirat(directory, at || '.')) : undefined;
  const here = placeOf(directory);
  const changes = async (options: Abortable): Promise<Changes> => {
    if (own === undefined) return single(directory, here, at, stat);
    const all = await treeChanges(placeOf(own), { parents: [], forLayer: false, ...options });
    return contentOnly ? all : renamed(all, here, at);
  };
  return await task({
    name,
    top: contentOnly ? '' : at,
    isDirectory,
    async *archive(options = {}) {
      yield* archiveOfChanges(await changes(options), options);
    },
  });
}

const placeOf = (fd: number): string => `/proc/self/fd/${fd}`;

/** What `look` finds on the way to `path`. */
function found<T>(path: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (isCode(error, 'NOT_FOUND') || errnoOf(error) === 'ENOTDIR')
      throw new MicaError('NOT_FOUND', `${printable(path)} does not exist`);
    throw error;
  }
}

/** Without links, from the top of the tree. */
function realPath(root: Root, path: string): string {
  const fd = root.open(path, O_PATH);
  try {
    const top = readlinkSync(`/proc/self/fd/${root.fd}`, 'latin1');
    const real = readlinkSync(`/proc/self/fd/${fd}`, 'latin1');
    return top === '/' ? real : real.slice(top.length) || '/';
  } finally {
    close(fd);
  }
}

/** The changes of a directory as changes of the one above. */
function renamed({ list }: Changes, root: string, name: string): Changes {
  if (name === '') return { root, list };
  const below = (path: string): string => (path === '' ? name : `${name}/${path}`);
  return {
    root,
    list: list.map((change): Change => {
      const path = below(change.path);
      if (change.kind === 'deleted' || change.link === undefined)
        return Object.assign({}, change, { path });
      return Object.assign({}, change, { path, link: below(change.link) });
    }),
  };
}

function single(directory: number, root: string, path: string, stat: FileStat): Changes {
  const isLink = (stat.mode & S_IFMT) === S_IFLNK;
  const file: Change = {
    kind: 'added',
    path,
    what: 'itself',
    stat,
    xattrs: isLink ? [] : allXattrs({ dirfd: directory, name: path }),
    target: isLink ? readlinkat(directory, path) : undefined,
    link: undefined,
    opaque: false,
  };
  return { root, list: [file] };
}
