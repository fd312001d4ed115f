import { isDirectory, type Stack, type StackEntry, type StackNode } from '../../erofs/stack.ts';
import { Bounds } from '../../union/bounds.ts';

/** What the upper layers of a stack do, all together. Paths are byte strings without a leading slash. */
export type SquashedEntry =
  /** A file or directory that they give. */
  | { readonly kind: 'file'; readonly path: string; readonly node: StackNode }
  /** They take it away, and something is below that it takes away. */
  | { readonly kind: 'whiteout'; readonly path: string }
  /** Nothing of what is below in this directory, which comes right before, is seen. */
  | { readonly kind: 'opaque'; readonly path: string };

/** Depth first; in a directory what is gone comes first, then the rest, both in byte order. The root is not told. */
export function* squashedEntries(
  all: Stack,
  below: Stack,
  from: number,
): Generator<SquashedEntry, void, undefined> {
  if (all.root === undefined) return;
  const walk = new SquashWalk(all, below, from);
  yield* walk.enter('', all.root, below.root);
  for (let level = walk.levels.at(-1); level; level = walk.levels.at(-1)) {
    const next = level.entries.next();
    if (next.done) {
      walk.levels.pop();
      continue;
    }
    const { name, node } = next.value;
    const path = level.prefix + name;
    yield { kind: 'file', path, node };
    if (isDirectory(node.inode))
      yield* walk.enter(path, node, level.lower && below.child(level.lower, name));
  }
}

interface Level {
  readonly prefix: string;
  readonly entries: Iterator<StackEntry>;
  /** The directory of the layers below that this one merges with. */
  readonly lower: StackNode | undefined;
}

class SquashWalk {
  readonly levels: Level[] = [];
  readonly #all: Stack;
  readonly #below: Stack;
  readonly #from: number;
  readonly #bounds: Bounds;

  constructor(all: Stack, below: Stack, from: number) {
    this.#all = all;
    this.#below = below;
    this.#from = from;
    this.#bounds = new Bounds(all.indexes);
  }

  /** What of `lower` is gone in the directory `node`; goes on with what is in it. */
  *enter(
    path: string,
    node: StackNode,
    lower: StackNode | undefined,
  ): Generator<SquashedEntry, void, undefined> {
    const entries = this.#entriesOf(path, node);
    let merged = lower && isDirectory(lower.inode) ? lower : undefined;
    if (merged !== undefined && this.#isAlone(node)) {
      if (this.#below.readdir(merged).length > 0) yield { kind: 'opaque', path };
      // Of the root the mark means nothing to overlayfs: what is gone is told one by one, too.
      if (path !== '') merged = undefined;
    }
    const prefix = path === '' ? '' : `${path}/`;
    if (merged !== undefined) {
      const seen = new Set(entries.map(({ name }) => name));
      for (const { name } of this.#below.readdir(merged))
        if (!seen.has(name)) yield { kind: 'whiteout', path: prefix + name };
    }
    const own = entries.filter((entry) => entry.node.layer >= this.#from);
    this.levels.push({ prefix, entries: own.values(), lower: merged });
  }

  /** Whether no layer below shows anything in it. */
  #isAlone({ parts }: StackNode): boolean {
    return parts.every(({ layer }) => layer >= this.#from);
  }

  #entriesOf(path: string, node: StackNode): StackEntry[] {
    this.#bounds.checkDepth(this.levels.length, path);
    for (const { layer, inode } of node.parts) this.#bounds.enter(layer, inode.nid);
    const entries = this.#all.readdir(node);
    this.#bounds.count(node.layer, entries.length);
    return entries;
  }
}
