import { isOpaque, isWhiteout, type Index, type Inode } from '../erofs/index-file.ts';
import { isDirectory, type StackOptions as Folding } from '../erofs/stack.ts';
import { decode } from './byte-string.ts';
import { statOf } from './stat.ts';
import type { Cover, PathLayer } from './tree.ts';

/**
 * Every layer's word on one path, topmost first.
 * @param indexes base layer first
 * @param names the path from the root, without links; byte strings
 */
export function historyOf(
  indexes: readonly Index[],
  names: readonly string[],
  { fold }: Folding = {},
): PathLayer[] {
  const told = new History(names);
  for (let layer = indexes.length - 1; layer >= 0; layer--)
    told.add(layer, indexes[layer]!, look(indexes[layer]!, names, fold));
  return told.layers();
}

/** What is found at the end of a path in one layer. */
interface Sight {
  /** The path itself, if the layer has it. */
  readonly inode?: Inode;
  /** What the layer does to lower layers there, and at which depth of the path. */
  readonly covers?: { readonly how: Exclude<Cover['how'], 'version'>; readonly depth: number };
}

function look(index: Index, names: readonly string[], fold: Folding['fold']): Sight {
  let inode = index.stat(index.root);
  let covers: Sight['covers'];
  for (let depth = 0; ; depth++) {
    if (isWhiteout(inode)) return { covers: { how: 'whiteout', depth } };
    const directory = isDirectory(inode);
    if (directory && isOpaque(index, inode)) covers = { how: 'opaque', depth };
    const name = names[depth];
    if (name === undefined) return { inode, ...(covers && { covers }) };
    if (!directory) return { covers: { how: 'replacement', depth } };
    const nid = index.lookup(inode.nid, name) ?? (fold && folded(index, inode, name, fold));
    if (nid === undefined) return covers ? { covers } : {};
    inode = index.stat(nid);
  }
}

const folded = (
  index: Index,
  { nid }: Inode,
  name: string,
  fold: (name: string) => string,
): number | undefined => {
  const wanted = fold(name);
  return index.readdir(nid).find((entry) => fold(entry.name) === wanted)?.nid;
};

class History {
  readonly #names: readonly string[];
  readonly #layers: PathLayer[] = [];
  /** The nearest thing above that hides everything below it. */
  #cover: Cover | undefined;
  /** The nearest directory above that nothing separates from here: it merges with directories only. */
  #directory: number | undefined;

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  add(layer: number, index: Index, { inode, covers }: Sight): void {
    if (inode) this.#version(layer, index, inode);
    if (!covers) return;
    const by: Cover = { layer, how: covers.how, path: this.#path(covers.depth) };
    if (!inode) this.#layers.push({ layer, kind: 'deletes', by });
    if (inode && !isDirectory(inode)) return; // the version itself is the nearer cover
    this.#cover = by;
    this.#directory = undefined;
  }

  /** What deletes nothing is left out, unless it is a whiteout of the path itself. */
  layers(): PathLayer[] {
    const lowest = this.#layers.findLastIndex(({ kind }) => kind !== 'deletes');
    const own = this.#path(this.#names.length);
    return this.#layers.filter(
      (word, at) =>
        at < lowest ||
        word.kind !== 'deletes' ||
        (word.by.how === 'whiteout' && word.by.path === own),
    );
  }

  #version(layer: number, index: Index, inode: Inode): void {
    const directory = isDirectory(inode);
    const by = this.#hiding(directory);
    const stat = statOf(index, layer, inode);
    if (by) this.#layers.push({ layer, kind: 'hidden', stat, by });
    else
      this.#layers.push({
        layer,
        kind: this.#directory === undefined ? 'provides' : 'merges',
        stat,
      });
    if (directory) {
      this.#directory = layer;
      return;
    }
    this.#cover = this.#byVersion(layer);
    this.#directory = undefined;
  }

  #hiding(directory: boolean): Cover | undefined {
    if (!directory && this.#directory !== undefined) return this.#byVersion(this.#directory);
    return this.#cover;
  }

  #byVersion(layer: number): Cover {
    return { layer, how: 'version', path: this.#path(this.#names.length) };
  }

  #path(depth: number): string {
    return decode(`/${this.#names.slice(0, depth).join('/')}`);
  }
}
