import { join } from 'node:path';
import type { Inode } from '../../erofs/index-file.ts';
import { openIndex } from '../../erofs/read.ts';
import { openStack, type Stack, type StackNode } from '../../erofs/stack.ts';
import type { Xattr } from '../../sys/xattr.ts';
import { INDEX_FILE } from '../index-output.ts';
import { isCarried, isUnsaid } from './attributes.ts';
import { type Content, LowerContents } from './lower-content.ts';

/** A file of the layers below. */
export interface LowerFile {
  readonly node: StackNode;
  /** Its attributes. */
  readonly inode: Inode;
  readonly xattrs: readonly Xattr[];
  /** Equal for hard links. */
  readonly identity: string;
}

/** What the layers below look like together, by their indexes: no mount, and nothing that is not asked for is read. */
export class LowerTree implements Disposable {
  readonly #stack: Stack;
  readonly #contents: LowerContents;

  /**
   * @param parents - directories of the layers, nearest first
   * @param together - a directory with the files of all of them, if there is one
   */
  constructor(parents: readonly string[], together?: string) {
    const directories = parents.toReversed();
    using opened = new DisposableStack();
    const indexes = directories.map((directory) =>
      opened.use(openIndex(join(directory, INDEX_FILE))),
    );
    this.#stack = openStack(indexes);
    this.#contents = new LowerContents(indexes, directories, together);
    opened.move();
  }

  /**
   * The attributes of the root are those of the nearest layer that says something about it;
   * `undefined` where none does.
   */
  get root(): LowerFile | undefined {
    const { root } = this.#stack;
    if (root === undefined) return undefined;
    const said = root.parts.find((part) => !isUnsaid(part.inode, this.#xattrs(part)));
    const { layer, inode } = said ?? root;
    return { node: root, inode, xattrs: this.#xattrs({ layer, inode }), identity: '' };
  }

  child({ node }: LowerFile, name: string): LowerFile | undefined {
    const child = this.#stack.child(node, name);
    return child && this.#file(child);
  }

  /** What a directory has, in byte order; of anything else, nothing. */
  children({ node }: LowerFile): Map<string, LowerFile> {
    const children = new Map<string, LowerFile>();
    for (const entry of this.#stack.readdir(node)) children.set(entry.name, this.#file(entry.node));
    return children;
  }

  /** Whether a directory has a name that is not among `names`. */
  hasOther(file: LowerFile, names: ReadonlySet<string>): boolean {
    for (const { layer, inode } of file.node.parts)
      for (const { name } of this.#stack.indexes[layer]!.readdir(inode.nid))
        if (!names.has(name) && this.#stack.child(file.node, name) !== undefined) return true;
    return false;
  }

  /** Of a symbolic link. */
  target({ node }: LowerFile): string {
    return this.#stack.indexes[node.layer]!.readlink(node.inode.nid);
  }

  /** The content of a regular file; `undefined` where it cannot be had. */
  open({ node }: LowerFile, path: string): Content | undefined {
    return this.#contents.open(node.layer, node.inode, path);
  }

  [Symbol.dispose](): void {
    this.#contents[Symbol.dispose]();
    for (const index of this.#stack.indexes) index.close();
  }

  #file(node: StackNode): LowerFile {
    const { layer, inode } = node;
    return { node, inode, xattrs: this.#xattrs(node), identity: `${layer}:${inode.nid}` };
  }

  #xattrs({ layer, inode }: Pick<StackNode, 'layer' | 'inode'>): readonly Xattr[] {
    if (!inode.hasXattrs) return [];
    return this.#stack.indexes[layer]!.xattrs(inode.nid).filter(({ name }) => isCarried(name));
  }
}
