import type { Ignore } from '../pattern/ignore.ts';
import { type SourceTree, under } from './source-tree.ts';

/**
 * A tree without what is ignored. A directory that is ignored itself is there as long as something
 * in it is not.
 */
export function without(tree: SourceTree, ignore: Ignore): SourceTree {
  const isLeftOut = (path: string): boolean =>
    ignore.excludes(path) && !(ignore.hasExceptions && hasWanted(tree, ignore, path));
  return {
    name: tree.name,
    lstat: (path) => (isLeftOut(path) ? undefined : tree.lstat(path)),
    names: (path) => tree.names(path).filter((name) => !isLeftOut(under(path, name))),
    read: (path, options) => tree.read(path, options),
  };
}

function hasWanted(tree: SourceTree, ignore: Ignore, path: string): boolean {
  if (tree.lstat(path)?.type !== 'directory') return false;
  return tree.names(path).some((name) => {
    const below = under(path, name);
    return !ignore.excludes(below) || hasWanted(tree, ignore, below);
  });
}
