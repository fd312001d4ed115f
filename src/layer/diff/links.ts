import { isSeenDirectory, type Seen } from './seen.ts';

/**
 * Hard links. A layer cannot give a name to a file that it does not have itself, so all names of a
 * file are changes if one is: if it got a new name, or if what is one file now are several below, or
 * the other way round.
 */
export function judgeLinks(seen: readonly Seen[]): void {
  const linked = seen.filter((one) => one.file !== undefined && !isSeenDirectory(one));
  judgeSeparated(linked);
  const groups = Map.groupBy(
    linked.filter(({ file }) => file!.stat.nlink > 1),
    inodeOf,
  );
  for (const names of groups.values()) {
    const isSame = names.every(({ state }) => state === 'same');
    if (isSame && new Set(names.map(({ lower }) => lower?.identity)).size === 1) continue;
    for (const one of names) if (one.state === 'same') one.state = 'modified';
    for (const other of names.slice(1)) other.link = names[0]!.path;
  }
}

/** Files that were one and are several now, though they look the same: the first one stays as it is. */
function judgeSeparated(linked: readonly Seen[]): void {
  const owners = new Map<string, string>();
  for (const one of linked) {
    if (one.state !== 'same' || one.lower === undefined || one.lower.inode.nlink < 2) continue;
    const { identity } = one.lower;
    const owner = owners.get(identity);
    if (owner === undefined) owners.set(identity, inodeOf(one));
    else if (owner !== inodeOf(one)) one.state = 'modified';
  }
}

const inodeOf = ({ file }: Seen): string => `${file!.stat.dev} ${file!.stat.ino}`;
