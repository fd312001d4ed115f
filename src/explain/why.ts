import { isCode } from '../errors.ts';
import type {
  FollowedLink,
  PathLayer,
  Resolution,
  TreePath,
  TreeStat,
  UnionTree,
} from '../union/tree.ts';

/** The answer to: why does this path look as it does? */
export interface Why {
  /** The path that the layers speak of; no component is a link, except perhaps the last one. */
  readonly path: string;
  /** Links that were followed to get there. */
  readonly links: readonly FollowedLink[];
  /**
   *  - `present`: it is there, and `stat` says as what
   *  - `deleted`: some layer has it, another one takes it away
   *  - `absent`: no layer has it
   */
  readonly state: 'present' | 'deleted' | 'absent';
  readonly stat: TreeStat | undefined;
  /** Every layer that says something about it, topmost first. */
  readonly layers: readonly PathLayer[];
  /** Where it leads in the end, if it is a symbolic link; `undefined` when that goes in circles. */
  readonly target: Why | undefined;
}

/**
 * Explains a path: which layer provides it and which lower versions that hides, what deleted it,
 * which layers' directories merge into it, and through which links one gets there.
 */
export function whyOf(tree: UnionTree, path: TreePath): Why {
  const why = explain(tree, tree.resolve(path, { follow: false }));
  if (why.stat?.type !== 'symlink') return why;
  const end = endOf(tree, path);
  return { ...why, target: end && explain(tree, end) };
}

function explain(tree: UnionTree, { path, raw, links }: Resolution): Why {
  const layers = tree.history(raw);
  const provided = layers.find((word) => word.kind === 'provides');
  const had = layers.some(({ kind }) => kind === 'hidden');
  return {
    path,
    links,
    state: provided ? 'present' : had ? 'deleted' : 'absent',
    stat: provided && tree.lstat(raw),
    layers,
    target: undefined,
  };
}

function endOf(tree: UnionTree, path: TreePath): Resolution | undefined {
  try {
    return tree.resolve(path);
  } catch (error) {
    if (isCode(error, 'FAILED_PRECONDITION')) return undefined;
    throw error;
  }
}
