import { close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openat } from '../sys/at.ts';
import { readNames } from '../sys/dirents.ts';
import { errnoOf } from '../sys/errno.ts';
import { type FileStat, findat, statat } from '../sys/stat.ts';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** One file on a walk. */
export interface WalkEntry {
  /** Relative to where the walk began, a byte string; `''` is the beginning itself. */
  readonly path: string;
  /** Directory and name to reach the file by, until the walk goes on. */
  readonly dirfd: number;
  readonly name: string;
  readonly stat: FileStat;
  /** A directory comes twice: before what is in it, and after. */
  readonly phase: 'before' | 'after';
}

interface Level {
  readonly fd: number;
  readonly entry: WalkEntry;
  readonly names: string[];
}

/**
 * The directory `dirfd` and everything below it, depth first, siblings in byte order. Links are
 * never followed. Only the directories on the way to the present file are open.
 * @param options - `skipMounts`: leaves out what is mounted below · `isInUse`: what vanishes meanwhile
 * is left out, too, instead of NOT_FOUND
 */
export function* walk(
  dirfd: number,
  {
    skipMounts = false,
    isInUse = false,
  }: { readonly skipMounts?: boolean; readonly isInUse?: boolean } = {},
): Generator<WalkEntry, void, void> {
  const levels: Level[] = [];
  const enter = (entry: WalkEntry): void => {
    const fd = isInUse ? openIfThere(entry) : openDirectory(entry);
    if (fd === undefined) return;
    // Closed with the others if it cannot be read.
    const level = { fd, entry, names: [] as string[] };
    levels.push(level);
    level.names = readNames(fd).sort().reverse();
  };
  const top = { path: '', dirfd, name: '.', stat: statat(dirfd, '.'), phase: 'before' } as const;
  try {
    yield top;
    enter(top);
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names.pop();
      if (name === undefined) {
        yield { ...level.entry, phase: 'after' };
        close(level.fd);
        levels.pop();
        continue;
      }
      const { fd, entry: parent } = level;
      const path = parent.path === '' ? name : `${parent.path}/${name}`;
      const stat = isInUse ? findat(fd, name) : statat(fd, name);
      if (stat === undefined) continue;
      const entry: WalkEntry = { path, dirfd: fd, name, stat, phase: 'before' };
      if (skipMounts && entry.stat.isMountRoot) continue;
      yield entry;
      if (isDirectory(entry.stat)) enter(entry);
    }
  } finally {
    for (const { fd } of levels) close(fd);
  }
}

const openDirectory = ({ dirfd, name }: WalkEntry): number =>
  openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

function openIfThere(entry: WalkEntry): number | undefined {
  try {
    return openDirectory(entry);
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw error;
    return undefined;
  }
}

export const isDirectory = ({ mode }: FileStat): boolean => (mode & S_IFMT) === S_IFDIR;
