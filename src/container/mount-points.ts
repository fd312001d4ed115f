import type { Change, Changes, Present } from '../layer/diff/change.ts';

/** What a runtime makes in a tree to mount on it, where the image lacks it. */
const MADE: ReadonlySet<string> = new Set([
  'dev',
  'dev/console',
  'dev/mqueue',
  'dev/pts',
  'dev/shm',
  'etc',
  'etc/hostname',
  'etc/hosts',
  'etc/resolv.conf',
  'proc',
  'sbin',
  'sbin/docker-init',
  'sys',
  'sys/fs',
  'sys/fs/cgroup',
  'usr',
  'usr/bin',
  'usr/bin/docker-init',
  'usr/sbin',
  'usr/sbin/docker-init',
]);

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;

/**
 * Changes without mount points that are as the runtime made them: empty files and directories. A
 * directory that has changed by nothing but them has not changed. What has other names was not made so.
 */
export function withoutMountPoints({ root, list }: Changes): Changes {
  const made = new Set<string>();
  const filled = new Set<string>();
  const touched = new Set<string>();
  const linked = new Set(list.map((change) => change.kind !== 'deleted' && change.link));
  // What is in a directory is looked at before the directory.
  const kept = list.toReversed().filter((change) => {
    if (!linked.has(change.path) && isMade(change, filled)) {
      made.add(change.path);
      touched.add(parentOf(change.path));
      return false;
    }
    if (isTouched(change, touched, filled)) return false;
    if (change.path !== '') filled.add(parentOf(change.path));
    return true;
  });
  return made.size === 0 ? { root, list } : { root, list: kept.reverse() };
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

function isMade(change: Change, filled: ReadonlySet<string>): boolean {
  if (change.kind !== 'added' || !MADE.has(change.path)) return false;
  const { stat, path, xattrs, link } = change;
  const type = stat.mode & S_IFMT;
  if (xattrs.length > 0 || stat.uid !== 0 || stat.gid !== 0) return false;
  return type === S_IFDIR
    ? !filled.has(path)
    : type === S_IFREG && stat.size === 0 && link === undefined;
}

/** A directory in which nothing has changed but that something was made to mount on. */
function isTouched(
  change: Change,
  touched: ReadonlySet<string>,
  filled: ReadonlySet<string>,
): change is Present {
  if (change.kind !== 'modified' || change.what === 'itself') return false;
  if (!touched.has(change.path) || filled.has(change.path)) return false;
  return true;
}
