import { Root } from '../../fs/root.ts';
import type { Abortable } from '../../io/bytes.ts';
import { Pace } from '../../io/pace.ts';
import type { Touched, Upper } from '../../snapshot/driver.ts';
import type { Changes } from './change.ts';
import { LowerTree } from './lower-tree.ts';
import { settle } from './settle.ts';
import type { Source } from './source.ts';
import { touchedTree } from './touched-tree.ts';
import { upperSource } from './upper.ts';
import { Walk } from './walk.ts';
import { type Moment, wholeTree } from './whole-tree.ts';

export interface DiffOptions extends Abortable {
  /**
   * Directories of the layers below, nearest first, each with its index and its `layer.tar` or
   * `fs/`. `undefined`: not known; then everything in the upper directory is a change.
   */
  readonly parents?: readonly string[] | undefined;
  /**
   * A directory with the files of all layers below together, where drivers keep whole trees: contents
   * are read there, and no `fs/` of a parent is looked at.
   */
  readonly below?: string | undefined;
  /** Default: true. `false`: names that mean something else in a layer are told as they are. */
  readonly forLayer?: boolean | undefined;
}

export interface CompareOptions extends DiffOptions {
  readonly parents: readonly string[];
  /**
   * When the tree was no more than a copy of its parents: a file whose inode has not changed since
   * is theirs if its attributes are. Without it contents are compared, which reads everything twice.
   */
  readonly since?: Moment | undefined;
  /** Where it differs from the tree `below`, which it began with: nothing else is looked at. */
  readonly touched?: Touched | undefined;
}

/**
 * What was changed through a union file system. Its upper directory is walked, and nothing else.
 * @throws FAILED_PRECONDITION for an upper directory that does not hold what it stands for
 * (`redirect_dir`, `metacopy`) · INVALID_ARGUMENT for files that no layer can have
 */
export const upperChanges = (upper: Upper, options: DiffOptions = {}): Promise<Changes> =>
  changesOf(upperSource(upper), options);

/** What is different in the whole tree at `path`: exactly what {@link upperChanges} tells of the same changes. */
export async function treeChanges(path: string, options: CompareOptions): Promise<Changes> {
  const { below, since, touched } = options;
  if (touched === undefined || below === undefined)
    return await changesOf(wholeTree(path, since), options);
  using tree = new Root(below);
  return await changesOf(touchedTree(path, { touched, tree, since }), options);
}

async function changesOf(
  source: Source,
  { parents, below, signal, forLayer = true }: DiffOptions,
): Promise<Changes> {
  const pace = new Pace(signal);
  using lower = parents && new LowerTree(parents, below);
  using root = new Root(source.root);
  const seen = await new Walk(source, root, lower, { pace, forLayer }).run();
  return { root: source.root, list: settle(seen, lower) };
}
