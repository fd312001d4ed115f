import { isLinked, type Seen } from './seen.ts';

/**
 * Hard links. A layer cannot give a name to a file that it does not have itself, so all names of a
 * file are changes if one is: if it got a new name, or if what is one file now are several below.
 * What was one file and is several that look the same is no change: overlayfs makes that of a file
 * whenever it copies it up.
 */
export function judgeLinks(seen: readonly Seen[]): void {
  const groups = Map.groupBy(seen.filter(isLinked), inodeOf);
  for (const names of groups.values()) {
    const isSame = names.every(({ state }) => state === 'same');
    if (isSame && new Set(names.map(({ lower }) => lower?.identity)).size === 1) continue;
    for (const one of names) if (one.state === 'same') one.state = 'modified';
    for (const other of names.slice(1)) other.link = names[0]!.path;
  }
}

const inodeOf = ({ file }: Seen): string => `${file!.stat.dev} ${file!.stat.ino}`;
