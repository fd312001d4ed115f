import { MicaError } from '../errors.ts';
import { DIRENT_SIZE } from './format.ts';
import type { Index, IndexDirent, Inode } from './index-file.ts';
import { isOpaque, isWhiteout } from './index-file.ts';
import { S_IFDIR, S_IFMT } from './node.ts';

/**
 * Several layers' indexes as the one read-only tree that stacking them gives: whiteouts delete and
 * are not seen, opaque directories hide what is below them, directories merge, anything else replaces.
 * Symbolic links are never followed. Layer numbers count from the base, which is 0.
 */
export interface Stack {
  /** Base layer first. The stack does not close them. */
  readonly indexes: readonly Index[];
  /** `undefined` when there are no layers. */
  readonly root: StackNode | undefined;
  /** The node that `names`, one after the other from the root, lead to. */
  lookup(names: readonly string[]): StackNode | undefined;
  /** The entry `name` of a directory; of anything else, `undefined`. */
  child(node: StackNode, name: string): StackNode | undefined;
  /** What a directory has, in byte order; of anything else, nothing. */
  readdir(node: StackNode): StackEntry[];
}

/** One file of the merged tree, as the layer has it that provides it. */
export interface StackNode extends StackPart {
  /** Of a directory: all versions that merge, topmost first, beginning with this one. Else just this one. */
  readonly parts: readonly StackPart[];
  /** The directory that has it; `undefined`: it is the root. */
  readonly parent: StackNode | undefined;
}

export interface StackPart {
  readonly layer: number;
  readonly inode: Inode;
  /** As that layer has it; of the root ''. */
  readonly name: string;
}

export interface StackOptions {
  /**
   * What names are compared by, where the case of letters makes no other name: those for which this
   * is the same are one. It is called what the topmost layer calls it. Default: the name itself.
   */
  readonly fold?: ((name: string) => string) | undefined;
}

export interface StackEntry {
  readonly name: string;
  readonly node: StackNode;
}

/** @param indexes base layer first */
export function openStack(indexes: readonly Index[], options: StackOptions = {}): Stack {
  return new IndexStack(indexes, options);
}

export const isDirectory = (inode: Inode): boolean => (inode.mode & S_IFMT) === S_IFDIR;

class IndexStack implements Stack {
  readonly indexes: readonly Index[];
  readonly root: StackNode | undefined;
  /** By layer: what was listed so far. */
  readonly #listed: { readonly directories: Set<number>; entries: number }[];

  readonly #fold: StackOptions['fold'];
  /** With `fold`: the entries of the directories asked last, by folded name. */
  readonly #folded: Map<number, ReadonlyMap<string, IndexDirent>>[];

  constructor(indexes: readonly Index[], { fold }: StackOptions) {
    this.indexes = indexes;
    this.#fold = fold;
    this.#folded = indexes.map(() => new Map());
    this.#listed = indexes.map(() => ({ directories: new Set<number>(), entries: 0 }));
    const merge = new Merge(this.indexes, undefined);
    for (let layer = indexes.length - 1; layer >= 0 && !merge.complete; layer--)
      merge.add(layer, indexes[layer]!.root, '');
    this.root = merge.node();
  }

  lookup(names: readonly string[]): StackNode | undefined {
    let node = this.root;
    for (const name of names) {
      if (!node) return undefined;
      node = this.child(node, name);
    }
    return node;
  }

  child(node: StackNode, name: string): StackNode | undefined {
    if (!isDirectory(node.inode) || name === '.' || name === '..') return undefined;
    const merge = new Merge(this.indexes, node);
    for (const part of node.parts) {
      const found = this.#lookup(part, name);
      if (found !== undefined) merge.add(part.layer, found.nid, found.name);
      if (merge.complete) break;
    }
    return merge.node();
  }

  readdir(node: StackNode): StackEntry[] {
    if (!isDirectory(node.inode)) return [];
    const [top, ...lower] = node.parts;
    if (lower.length === 0 && this.#fold === undefined) return this.#single(node, this.#list(top!));
    const merges = new Map<string, Merge>();
    for (const part of node.parts) {
      for (const { name, nid, type } of this.#list(part)) {
        const key = this.#fold?.(name) ?? name;
        let merge = merges.get(key);
        if (!merge) merges.set(key, (merge = new Merge(this.indexes, node)));
        if (!merge.complete && !merge.has(part.layer)) merge.add(part.layer, nid, name, type);
      }
    }
    const entries: StackEntry[] = [];
    for (const key of [...merges.keys()].sort()) {
      const found = merges.get(key)!.node();
      if (found) entries.push({ name: found.name, node: found });
    }
    // Folded names are in another order than the names.
    return this.#fold === undefined ? entries : entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #lookup(part: StackPart, name: string): { nid: number; name: string } | undefined {
    const index = this.indexes[part.layer]!;
    const nid = index.lookup(part.inode.nid, name);
    if (nid !== undefined) return { nid, name };
    return this.#fold && this.#foldedOf(part, this.#fold).get(this.#fold(name));
  }

  /** Of names that fold alike the first in byte order counts. */
  #foldedOf(part: StackPart, fold: (name: string) => string): ReadonlyMap<string, IndexDirent> {
    const known = this.#folded[part.layer]!;
    let entries = known.get(part.inode.nid);
    if (entries === undefined) {
      if (known.size >= FOLDED_DIRECTORIES) known.clear();
      entries = new Map(
        this.#list(part)
          .toReversed()
          .map((entry) => [fold(entry.name), entry]),
      );
      known.set(part.inode.nid, entries);
    }
    return entries;
  }

  /** @throws DATA_LOSS when directories have more entries than the index has room for, because they share them */
  #list({ layer, inode }: StackPart): IndexDirent[] {
    const entries = this.indexes[layer]!.readdir(inode.nid);
    const listed = this.#listed[layer]!;
    if (listed.directories.has(inode.nid)) return entries;
    listed.directories.add(inode.nid);
    listed.entries += entries.length;
    if (listed.entries * (DIRENT_SIZE + 1) > this.indexes[layer]!.size)
      throw damaged(layer, 'directories share their entries');
    return entries;
  }

  #single(parent: StackNode, dirents: readonly IndexDirent[]): StackEntry[] {
    const entries: StackEntry[] = [];
    const { layer } = parent;
    for (const { name, nid, type } of dirents) {
      const inode = this.indexes[layer]!.stat(nid);
      checkType(layer, inode, type);
      if (isWhiteout(inode)) continue;
      if (isDirectory(inode)) checkParent(this.indexes[layer]!, { layer, inode, name }, parent);
      entries.push({ name, node: { layer, inode, name, parts: [{ layer, inode, name }], parent } });
    }
    return entries;
  }
}

/** What is kept of a layer to look up names in whatever case. */
const FOLDED_DIRECTORIES = 64;

/** One name's versions, added topmost first, until one hides the rest. */
class Merge {
  readonly #indexes: readonly Index[];
  readonly #parent: StackNode | undefined;
  readonly #parts: StackPart[] = [];
  complete = false;

  constructor(indexes: readonly Index[], parent: StackNode | undefined) {
    this.#indexes = indexes;
    this.#parent = parent;
  }

  /** Whether the layer added last is this one. */
  has(layer: number): boolean {
    return this.#parts.at(-1)?.layer === layer;
  }

  /** @param type as the directory's entry has it, if it is known */
  add(layer: number, nid: number, name: string, type?: number): void {
    const index = this.#indexes[layer]!;
    const inode = index.stat(nid);
    if (type !== undefined) checkType(layer, inode, type);
    if (isDirectory(inode)) {
      const part = { layer, inode, name };
      checkParent(index, part, this.#parent);
      this.#parts.push(part);
      this.complete = isOpaque(index, inode);
      return;
    }
    if (this.#parts.length === 0 && !isWhiteout(inode)) this.#parts.push({ layer, inode, name });
    this.complete = true;
  }

  node(): StackNode | undefined {
    const [top] = this.#parts;
    return top && { ...top, parts: this.#parts, parent: this.#parent };
  }
}

/**
 * A directory has one parent, which its `..` names: so a damaged index is a tree all the same, and a
 * walk through it ends.
 */
function checkParent(index: Index, part: StackPart, parent: StackNode | undefined): void {
  const { layer, inode } = part;
  const above = parent ? parent.parts.find((other) => other.layer === layer)?.inode.nid : inode.nid;
  const rootBelow = parent !== undefined && inode.nid === index.root;
  if (rootBelow || index.lookup(inode.nid, '..') !== above)
    throw damaged(layer, `directory ${inode.nid} has two parents`);
}

/** Entries of one directory are told apart by their types: so it has no subdirectory twice. */
function checkType(layer: number, inode: Inode, type: number): void {
  if (isDirectory(inode) === (type === S_IFDIR)) return;
  throw damaged(layer, `file ${inode.nid} is of another type than its entry says`);
}

const damaged = (layer: number, what: string): MicaError =>
  new MicaError('DATA_LOSS', `read index of layer ${layer}: ${what}; the index is damaged`);
