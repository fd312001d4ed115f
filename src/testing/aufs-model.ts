import { linkSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { copyRootAttributes } from '../snapshot/drivers/root-attributes.ts';

/**
 * Makes, in a plain directory, what AUFS shows of branches: a model of its lookup, for machines
 * without AUFS.
 *
 * For each name, branches are asked from the top down, in so far as they have the directory and none
 * above is opaque (a file `.wh..wh..opq` in it). A file `.wh.<name>` ends the search. The first thing found
 * decides the type; anything but a directory ends the search; things of other types further down
 * are passed over, *and the search goes on*. Names that begin with `.wh.` are not seen.
 * @see fs/aufs/dentry.c, au_do_lookup and au_lkup_dentry
 */
export function showAufs(branches: readonly string[], into: string): void {
  const names = new Set(
    branches.flatMap((branch) => readdirSync(branch)).filter((name) => !name.startsWith('.wh.')),
  );
  for (const name of names) show(branches, name, join(into, name));
  copyRootAttributes(branches.slice(0, 1), into);
}

function show(branches: readonly string[], name: string, into: string): void {
  const directories: string[] = [];
  for (const branch of branches) {
    if (there(join(branch, `.wh.${name}`)) !== undefined) break;
    const found = there(join(branch, name));
    if (found === undefined) continue;
    if (found.isDirectory()) {
      directories.push(join(branch, name));
      if (there(join(branch, name, '.wh..wh..opq')) !== undefined) break;
    } else if (directories.length === 0) return linkSync(join(branch, name), into);
  }
  if (directories.length === 0) return;
  mkdirSync(into);
  showAufs(directories, into);
}

const there = (path: string): ReturnType<typeof lstatSync> | undefined =>
  lstatSync(path, { throwIfNoEntry: false });
