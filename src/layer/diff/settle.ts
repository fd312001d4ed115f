import type { Change, Present } from './change.ts';
import { judgeLinks } from './links.ts';
import { isDirectory } from './attributes.ts';
import type { LowerTree } from './lower-tree.ts';
import { isSeenDirectory, type Seen, type SeenDirectory } from './seen.ts';

/**
 * The changes among what a walk saw. A directory is one if anything in it is: a layer then says all
 * about the directories on its ways, and means the same whatever lies below. The root is one only
 * if it changed itself.
 */
export function settle(seen: readonly Seen[], lower: LowerTree | undefined): Change[] {
  judgeLinks(seen);
  const list: Change[] = [];
  const changed = new Set<SeenDirectory>();
  const kept: Kept = new Map();
  // From the end, since what is in a directory comes after it.
  for (let at = seen.length - 1; at >= 0; at--) {
    const one = seen[at]!;
    const { parent } = one;
    const isAbove = isSeenDirectory(one) && changed.has(one);
    // Whoever stacks layers finds a root that one does not mention in those below.
    if (one.state === 'same' && (!isAbove || parent === undefined)) {
      if (parent) parent.kept++;
      continue;
    }
    if (parent) changed.add(parent);
    if (isSeenDirectory(one)) {
      parent?.directories.push(one);
      if (lower !== undefined) one.opaque = isEmptied(one, lower, kept);
    }
    list.push(changeOf(one, isAbove));
  }
  return list.reverse();
}

/**
 * Whether a directory shows nothing any more of what the layers below have in it, and something was
 * deleted. One mark then says it, however it came about; except for the root, where it means nothing
 * to overlayfs.
 */
const isEmptied = (directory: SeenDirectory, tree: LowerTree, known: Kept): boolean =>
  directory.path !== '' && directory.deletions > 0 && !isKept(directory, tree, known);

/** Answers of {@link isKept}: every directory above asks again. */
type Kept = Map<SeenDirectory, boolean>;

function isKept(directory: SeenDirectory, tree: LowerTree, known: Kept): boolean {
  let is = known.get(directory);
  if (is === undefined) known.set(directory, (is = keepsSomething(directory, tree, known)));
  return is;
}

function keepsSomething(directory: SeenDirectory, tree: LowerTree, known: Kept): boolean {
  const { kept, complete, lower, names, directories } = directory;
  if (kept > 0) return true;
  if (lower === undefined || !isDirectory(lower.inode)) return false;
  if (!complete && tree.hasOther(lower, new Set(names))) return true;
  return directories.some((child) => isKept(child, tree, known));
}

function changeOf(seen: Seen, isAbove: boolean): Change {
  const { path, file, state, link } = seen;
  if (file === undefined) return { kind: 'deleted', path };
  const kind = state === 'added' ? 'added' : 'modified';
  const opaque = isSeenDirectory(seen) && seen.opaque;
  const { stat, xattrs, target } = file;
  return { kind, path, what: whatOf(seen, isAbove), stat, xattrs, target, link, opaque };
}

function whatOf({ state }: Seen, isAbove: boolean): Present['what'] {
  if (state === 'added' || state === 'modified') return 'itself';
  return isAbove ? 'below' : 'time';
}
