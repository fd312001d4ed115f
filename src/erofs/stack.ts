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

/** One file of the merged tree. */
export interface StackNode {
  /** The layer that provides it. */
  readonly layer: number;
  /** As that layer has it. */
  readonly inode: Inode;
  /** Of a directory: all versions that merge, topmost first, beginning with this one. Else just this one. */
  readonly parts: readonly StackPart[];
  /** The directory that has it; `undefined`: it is the root. */
  readonly parent: StackNode | undefined;
}

export interface StackPart {
  readonly layer: number;
  readonly inode: Inode;
}

export interface StackEntry {
  readonly name: string;
  readonly node: StackNode;
}

/** @param indexes base layer first */
export function openStack(indexes: readonly Index[]): Stack {
  return new IndexStack(indexes);
}

export const isDirectory = (inode: Inode): boolean => (inode.mode & S_IFMT) === S_IFDIR;

class IndexStack implements Stack {
  readonly indexes: readonly Index[];
  readonly root: StackNode | undefined;
  /** By layer: what was listed so far. */
  readonly #listed: { readonly directories: Set<number>; entries: number }[];

  constructor(indexes: readonly Index[]) {
    this.indexes = indexes;
    this.#listed = indexes.map(() => ({ directories: new Set<number>(), entries: 0 }));
    const merge = new Merge(this.indexes, undefined);
    for (let layer = indexes.length - 1; layer >= 0 && !merge.complete; layer--)
      merge.add(layer, indexes[layer]!.root);
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
      const nid = this.indexes[part.layer]!.lookup(part.inode.nid, name);
      if (nid !== undefined) merge.add(part.layer, nid);
      if (merge.complete) break;
    }
    return merge.node();
  }

  readdir(node: StackNode): StackEntry[] {
    if (!isDirectory(node.inode)) return [];
    const [top, ...lower] = node.parts;
    if (lower.length === 0) return this.#single(node, this.#list(top!));
    const merges = new Map<string, Merge>();
    for (const part of node.parts) {
      for (const { name, nid, type } of this.#list(part)) {
        let merge = merges.get(name);
        if (!merge) merges.set(name, (merge = new Merge(this.indexes, node)));
        if (!merge.complete) merge.add(part.layer, nid, type);
      }
    }
    const entries: StackEntry[] = [];
    for (const name of [...merges.keys()].sort()) {
      const found = merges.get(name)!.node();
      if (found) entries.push({ name, node: found });
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
      if (isDirectory(inode)) checkParent(this.indexes[layer]!, { layer, inode }, parent);
      entries.push({ name, node: { layer, inode, parts: [{ layer, inode }], parent } });
    }
    return entries;
  }
}

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

  /** @param type as the directory's entry has it, if it is known */
  add(layer: number, nid: number, type?: number): void {
    const index = this.#indexes[layer]!;
    const inode = index.stat(nid);
    if (type !== undefined) checkType(layer, inode, type);
    if (isDirectory(inode)) {
      checkParent(index, { layer, inode }, this.#parent);
      this.#parts.push({ layer, inode });
      this.complete = isOpaque(index, inode);
      return;
    }
    if (this.#parts.length === 0 && !isWhiteout(inode)) this.#parts.push({ layer, inode });
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
