import { MicaError } from '../errors.ts';
import type { Index } from '../erofs/index-file.ts';
import { isMadeUp } from '../erofs/index-file.ts';
import { openIndex } from '../erofs/read.ts';
import {
  isDirectory,
  openStack,
  type Stack,
  type StackNode,
  type StackPart,
} from '../erofs/stack.ts';
import { Node, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../erofs/node.ts';
import { writeIndex } from '../erofs/write.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';
import { decode, encode, Path } from './byte-string.ts';
import type { LayerData } from './content.ts';
import { historyOf } from './history.ts';
import { type Found, type PathForm, resolvePath } from './resolve.ts';
import { inoOf, statOf, typeOf } from './stat.ts';
import { survey } from './survey.ts';
import type {
  FileType,
  PathLayer,
  ReadOptions,
  Resolution,
  ResolveOptions,
  SurveyedPath,
  TreeDirent,
  TreeEntry,
  TreePath,
  TreeStat,
  UnionTree,
} from './tree.ts';
import { foldName } from '../windows/fold.ts';
import { imagePath, linkTarget } from '../windows/image-path.ts';
import { walk } from './walk.ts';

/** One layer, ready to be stacked. */
export interface UnionLayer {
  /** Its `index.erofs`: a file, or the bytes of one. */
  readonly index: string | Uint8Array;
  readonly data: LayerData;
}

export interface UnionOptions {
  /**
   * The image's system, as its config names it: in one for `windows` the case of letters makes no
   * other name, and paths may be written as `C:\\Users`. Default: as on Linux.
   */
  readonly os?: string | undefined;
}

/** Above this, `readFile` refuses: what an index claims must not decide how much memory we take. */
const MAX_READ_FILE = 2 ** 30;

/**
 * Stacks layers into one tree. Nothing is read but the superblocks until somebody asks.
 * @param layers base layer first
 */
export function openUnion(layers: readonly UnionLayer[], options: UnionOptions = {}): UnionTree {
  const indexes: Index[] = [];
  try {
    if (layers.length === 0) return new Union(0, [openIndex(emptyIndex())], [], options);
    for (const { index } of layers) indexes.push(openIndex(index));
    return new Union(
      layers.length,
      indexes,
      layers.map(({ data }) => data),
      options,
    );
  } catch (error) {
    for (const index of indexes) index.close();
    throw error;
  }
}

/** What an image without layers shows. */
function emptyIndex(): Uint8Array {
  const chunks: Uint8Array[] = [];
  const keep = (chunk: Uint8Array): void => void chunks.push(Uint8Array.from(chunk));
  writeIndex(new Node(S_IFDIR | 0o755), keep, { devices: [] });
  return Buffer.concat(chunks);
}

class Union implements UnionTree {
  readonly depth: number;
  readonly ignoresCase: boolean;
  readonly #stack: Stack;
  readonly #data: readonly LayerData[];
  readonly #names: Names;

  constructor(
    depth: number,
    indexes: readonly Index[],
    data: readonly LayerData[],
    { os }: UnionOptions,
  ) {
    this.depth = depth;
    this.ignoresCase = os === 'windows';
    this.#names = os === 'windows' ? WINDOWS : {};
    this.#stack = openStack(indexes, this.#names);
    this.#data = data;
  }

  stat(path: TreePath): TreeStat {
    return this.#stat(this.#find(path, true).node);
  }

  lstat(path: TreePath): TreeStat {
    return this.#stat(this.#find(path, false).node);
  }

  readdir(path: TreePath): TreeDirent[] {
    const { node } = this.#directory(path);
    return this.#stack.readdir(node).map(({ name, node: { inode } }) => ({
      name: decode(name),
      raw: Buffer.from(name, 'latin1'),
      type: typeOf(inode.mode),
    }));
  }

  list(path: TreePath): TreeEntry[] {
    const { node, names } = this.#directory(path);
    const prefix = names.map((name) => `${name}/`).join('');
    const stat = (found: StackNode): TreeStat => this.#stat(found);
    return this.#stack
      .readdir(node)
      .map(({ name, node: found }) => new LazyEntry(prefix + name, found, stat));
  }

  readlink(path: TreePath): string {
    const { node } = this.#find(path, false);
    if ((node.inode.mode & S_IFMT) !== S_IFLNK)
      throw refused('read link', path, 'is not a symbolic link');
    return decode(this.#index(node).readlink(node.inode.nid));
  }

  resolve(path: TreePath, { follow = true }: ResolveOptions = {}): Resolution {
    const { node, names, links } = this.#resolve(path, follow);
    const at = new Path(names.join('/'));
    return { path: at.path, raw: at.raw, links, exists: node !== undefined };
  }

  async readFile(path: TreePath, options: Abortable = {}): Promise<Buffer> {
    options.signal?.throwIfAborted();
    const { size } = this.#regular(path).node.inode;
    if (size > MAX_READ_FILE)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        `read ${show(path)}: ${size} bytes are too many for one buffer; stream them instead`,
      );
    const content = Buffer.allocUnsafeSlow(size);
    let at = 0;
    for await (const chunk of this.createReadStream(path, options)) {
      content.set(chunk, at);
      at += chunk.length;
    }
    return content;
  }

  createReadStream(path: TreePath, options: ReadOptions = {}): Bytes {
    const { node } = this.#regular(path);
    const { nid, size } = node.inode;
    const { start = 0, end = Infinity, signal } = options;
    signal?.throwIfAborted();
    const stop = Math.min(end + 1, size);
    const file = { path: pathOf(node), nid, size, index: this.#index(node) };
    return this.#data[node.layer]!.read(file, Math.min(start, stop), stop, { signal });
  }

  *walk(path: TreePath = '/'): Iterable<TreeEntry> {
    const { node, names } = this.#find(path, false);
    const stat = (found: StackNode): TreeStat => this.#stat(found);
    for (const { path: at, node: found } of walk(this.#stack, node, names.join('/')))
      yield new LazyEntry(at, found, stat);
  }

  history(path: TreePath): PathLayer[] {
    const { names } = this.#resolve(path, false);
    return historyOf(this.#stack.indexes, names, this.#names).map((word) =>
      word.kind === 'deletes' ? word : { ...word, stat: this.#shown(word.stat) },
    );
  }

  survey(visit: (path: SurveyedPath) => void): void {
    // Without layers nothing is described, not even the root that it shows.
    if (this.depth > 0) survey(this.#stack.indexes, visit, this.#names);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of this.#stack.indexes) index.close();
    for (const data of this.#data) await data.close?.();
  }

  #resolve(path: TreePath, follow: boolean): Found {
    return resolvePath(this.#stack, path, { follow, paths: this.#names.paths });
  }

  #find(path: TreePath, follow: boolean): Found & { readonly node: StackNode } {
    const found = this.#resolve(path, follow);
    const { node, blockedBy } = found;
    if (node) return { ...found, node };
    if (blockedBy !== undefined)
      throw new MicaError('FAILED_PRECONDITION', `${show(path)}: ${blockedBy} is not a directory`);
    const where = decode(`/${found.names.join('/')}`);
    const led = found.links.length > 0 ? ` (which leads to ${where})` : '';
    throw new MicaError('NOT_FOUND', `${show(path)}${led}: no such file in the image`);
  }

  #directory(path: TreePath): Found & { readonly node: StackNode } {
    const found = this.#find(path, true);
    if (isDirectory(found.node.inode)) return found;
    throw refused('list', path, 'is not a directory');
  }

  #regular(path: TreePath): Found & { readonly node: StackNode } {
    const found = this.#find(path, true);
    const { mode } = found.node.inode;
    if ((mode & S_IFMT) === S_IFREG) return found;
    throw refused('read', path, `is a ${typeOf(mode)}, not a regular file`);
  }

  #stat(node: StackNode): TreeStat {
    const { layer, parts, parent } = node;
    const { layer: from, inode } = (parent ? undefined : this.#rootPart(parts)) ?? node;
    const stat = this.#shown(statOf(this.#stack.indexes[from]!, from, inode, parts.length));
    return from === layer ? stat : { ...stat, layer, ino: inoOf(layer, node.inode.nid) };
  }

  #shown(stored: TreeStat): TreeStat {
    return this.#names.permissions?.(stored) ?? stored;
  }

  /**
   * Archives often do not mention their root, and their index has a made-up one then: the nearest
   * layer that says something about it decides what the root of all is like, as in a mount.
   */
  #rootPart(parts: readonly StackPart[]): StackPart | undefined {
    return parts.find(({ layer, inode }) => !isMadeUp(this.#stack.indexes[layer]!, inode));
  }

  #index(node: StackNode): Index {
    return this.#stack.indexes[node.layer]!;
  }
}

/** What is not looked at is not decoded. */
class LazyEntry extends Path implements TreeEntry {
  readonly #node: StackNode;
  readonly #decodeStat: (node: StackNode) => TreeStat;

  constructor(bytes: string, node: StackNode, decodeStat: (node: StackNode) => TreeStat) {
    super(bytes);
    this.#node = node;
    this.#decodeStat = decodeStat;
  }

  get type(): FileType {
    return typeOf(this.#node.inode.mode);
  }

  get stat(): TreeStat {
    return this.#decodeStat(this.#node);
  }
}

/** What is another system's way with its files. */
interface Names {
  readonly fold?: (name: string) => string;
  readonly paths?: PathForm;
  /** What a file may be shown as, where its system has other permissions. */
  readonly permissions?: (stat: TreeStat) => TreeStat;
}

const WINDOWS: Names = {
  fold: foldName,
  paths: { asked: imagePath, target: linkTarget },
  permissions: readable,
};

/** Its layers say nothing of modes; who copies a file out wants to read it. */
function readable(stat: TreeStat): TreeStat {
  if ((stat.mode & 0o777) !== 0) return stat;
  return { ...stat, mode: stat.mode | (stat.type === 'file' ? 0o644 : 0o755) };
}

/** As the layer writes it that provides the file: with case aside, others may write it otherwise. */
function pathOf({ layer, name, parent }: StackNode): string {
  const names = [name];
  for (let at = parent; at?.parent; at = at.parent)
    names.push(at.parts.find((part) => part.layer === layer)!.name);
  return names.reverse().join('/');
}

const show = (path: TreePath): string => decode(encode(path));

const refused = (what: string, path: TreePath, why: string): MicaError =>
  new MicaError('FAILED_PRECONDITION', `${what} ${show(path)}: it ${why}`);
