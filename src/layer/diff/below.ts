import { isDirectory } from './attributes.ts';
import type { LowerFile, LowerTree } from './lower-tree.ts';
import type { SeenDirectory } from './seen.ts';

/** What lies below one directory. */
export interface Below {
  find(name: string): LowerFile | undefined;
  /**
   * The names that were taken away, in byte order.
   * @param gone - said to be deleted
   * @param present - what is there now
   */
  deleted(gone: readonly string[], present: ReadonlySet<string>): string[];
}

/**
 * @param tree - `undefined`: nobody knows what is below
 * @param exists - whether a file of the layers below can exist here at all
 */
export function belowOf(
  { lower, complete }: SeenDirectory,
  tree: LowerTree | undefined,
  exists: (file: LowerFile) => boolean,
): Below {
  if (tree === undefined) return UNKNOWN;
  if (lower === undefined || !isDirectory(lower.inode)) return NOTHING;
  if (!complete)
    return {
      find: (name) => tree.child(lower, name),
      deleted: (gone) => gone.filter((name) => tree.child(lower, name) !== undefined),
    };
  const children = tree.children(lower);
  return {
    find: (name) => children.get(name),
    deleted: (_, present) =>
      [...children]
        .filter(([name, file]) => !present.has(name) && exists(file))
        .map(([name]) => name),
  };
}

const UNKNOWN: Below = { find: () => undefined, deleted: (gone) => [...gone] };
const NOTHING: Below = { find: () => undefined, deleted: () => [] };
