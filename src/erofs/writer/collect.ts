import { MicaError } from '../../errors.ts';
import type { Node } from '../node.ts';
import { XattrPool } from './xattr-pool.ts';

/** A tree as lists. All tables are by {@link Node.slot}. */
export interface Collected {
  /** How many inodes there are; the tables may be longer. */
  readonly count: number;
  /** Each inode once: a directory, then its files, then its directories likewise. */
  readonly nodes: readonly Node[];
  readonly nlinks: Uint32Array;
  /** All names of a directory, `.` and `..` too, in byte order. */
  readonly names: readonly (readonly string[] | undefined)[];
  /** Of a directory: the slot of the one that has it. */
  readonly parents: Uint32Array;
  readonly xattrs: XattrPool;
}

/** Numbers the nodes of a tree in an order that depends on names only, and counts their links. */
export function collect(root: Node): Collected {
  if (!root.children)
    throw new MicaError('INVALID_ARGUMENT', 'write index: the root is no directory');
  const lists = new Lists(1 + namesBelow(root));
  const waiting: Node[] = [root];
  const parents: number[] = [0];
  for (let directory = waiting.pop(); directory; directory = waiting.pop()) {
    const slot = lists.add(directory);
    const subdirectories = lists.addFiles(slot, directory.children!);
    lists.parents[slot] = parents.pop()!;
    lists.nlinks[slot] = 2 + subdirectories.length;
    // The last one put on the stack comes off first.
    for (const child of subdirectories.reverse()) {
      waiting.push(child);
      parents.push(slot);
    }
  }
  return lists;
}

/** @throws INVALID_ARGUMENT when a directory lies in itself */
function namesBelow(root: Node): number {
  let names = 0;
  let directories = 1;
  const waiting: Node[] = [root];
  for (let directory = waiting.pop(); directory; directory = waiting.pop()) {
    names += directory.children!.size;
    for (const child of directory.children!.values()) if (child.children) waiting.push(child);
    if (++directories > MAX_DIRECTORIES)
      throw new MicaError('INVALID_ARGUMENT', 'write index: there is no end to its directories');
  }
  return names;
}

const MAX_DIRECTORIES = 2 ** 24;

/** Growing lists of this length took as long as everything else together: they have their size from the start. */
class Lists implements Collected {
  count = 0;
  readonly nodes: Node[] = [];
  readonly nlinks: Uint32Array;
  readonly names: (string[] | undefined)[] = [];
  readonly parents: Uint32Array;
  readonly xattrs: XattrPool = new XattrPool();

  constructor(length: number) {
    this.nodes.length = length;
    this.names.length = length;
    this.nlinks = new Uint32Array(length);
    this.parents = new Uint32Array(length);
  }

  add(node: Node): number {
    if (this.#has(node))
      throw new MicaError('INVALID_ARGUMENT', 'write index: a directory has two names');
    const slot = this.count++;
    node.slot = slot;
    this.nodes[slot] = node;
    if (node.xattrs) this.xattrs.add(node);
    return slot;
  }

  /** Adds what a directory has but for directories, which it returns. */
  addFiles(slot: number, children: ReadonlyMap<string, Node>): Node[] {
    const directories: Node[] = [];
    const names = sortedNames(children);
    this.names[slot] = names;
    for (const name of names) {
      const child = children.get(name);
      if (child === undefined) continue; // `.` and `..`
      if (child.children) directories.push(child);
      else {
        if (!this.#has(child)) this.add(child);
        this.nlinks[child.slot]!++;
      }
    }
    return directories;
  }

  #has(node: Node): boolean {
    return node.slot < this.count && this.nodes[node.slot] === node;
  }
}

/** With `.` and `..`, which some names precede. Most tars are sorted, which saves most of the sorting. */
function sortedNames(children: ReadonlyMap<string, Node>): string[] {
  const names = ['.', '..'];
  let sorted = true;
  let previous = '..';
  for (const name of children.keys()) {
    sorted &&= name > previous;
    previous = name;
    names.push(name);
  }
  if (children.has('.') || children.has('..'))
    throw new MicaError('INVALID_ARGUMENT', 'write index: . and .. are no file names');
  return sorted ? names : names.sort();
}
