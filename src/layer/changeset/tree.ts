import { Node, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT } from '../../erofs/node.ts';
import { MicaError } from '../../errors.ts';
import { foldName } from '../../windows/fold.ts';
import type { Lower, LowerNode } from './lower.ts';
import { MAX_PATH, shown, splitNames } from './member-name.ts';
import { type LayerSink, noSink } from './sink.ts';

/** As many symbolic links as the kernel follows in one path. */
const MAX_LINKS = 40;
/** Names walked for one path, those in followed links included. */
const MAX_STEPS = MAX_PATH;
/** Files made for one layer, those replaced later included. What a tree of so many takes is what a worker's memory is limited to. */
const MAX_NODES = 2_000_000;
const CACHED_PATHS = 4096;

/** A directory of the tree, where it lies: its path has no symbolic links. */
export interface Directory {
  readonly node: Node;
  readonly path: string;
  /** The root is its own parent, as in the kernel. */
  readonly parent: Directory;
}

/** A symbolic link on the way. */
interface Link {
  readonly target: string;
  /** Whether a lower layer has it. */
  readonly lower: boolean;
}

export const typeOf = (node: Node): number => node.mode & S_IFMT;
export const isDirectoryNode = (node: Node): boolean => typeOf(node) === S_IFDIR;
export const isWhiteoutNode = (node: Node): boolean => typeOf(node) === S_IFCHR && node.rdev === 0;

/**
 * One layer's own files while its archive is read, kept equal to what the sink holds. It finds the
 * directory that a path means, through this layer's symbolic links and the lower layers', never
 * out of the root, and notes when only the layers below can tell.
 */
export class LayerTree {
  readonly root: Directory;
  /** Directories that hide what lower layers have in them. */
  readonly opaque: Set<Node> = new Set();
  /** Whether anything had to be asked of the layers below. */
  dependent = false;
  /** Told of everything that is done to the tree. Nobody, once the result cannot be used. */
  sink: LayerSink;
  /** Whether the case of letters makes no other name, as on Windows. Once true, it stays so. */
  ignoresCase = false;
  readonly #lower: Lower | undefined;
  /** With `ignoresCase`: names of each directory by what they are without case. */
  readonly #spellings = new WeakMap<Node, Map<string, string>>();
  readonly #directories = new Map<Node, Directory>();
  /** Where paths led the last times; emptied when a directory or link goes away. */
  readonly #known = new Map<string, Directory>();
  readonly #maxNodes: number;
  #nodes = 0;

  /** @param lower - `undefined` while it is not known what is below */
  constructor(sink: LayerSink, lower: Lower | undefined, maxNodes: number = MAX_NODES) {
    this.sink = sink;
    this.#lower = lower;
    this.#maxNodes = maxNodes;
    const node = implicitDirectory();
    const root = { node, path: '' } as { node: Node; path: string; parent: Directory };
    root.parent = root;
    this.root = root;
    this.#directories.set(node, root);
  }

  /**
   * The directory that a clean path means. What is missing on the way is made, as the lower
   * layers have it or, where they have nothing, 0755 of root.
   */
  directory(path: string): Directory {
    return this.#find(path, true)!;
  }

  /** Like {@link directory} for what must be there already, in this layer or below: else `undefined`. */
  existing(path: string): Directory | undefined {
    return this.#find(path, false);
  }

  /**
   * Enters `node` as `name`; what this layer had there goes away, except that a directory stays and
   * takes over the attributes of a directory.
   * @returns whether `node` is new there
   */
  put(parent: Directory, name: string, node: Node): boolean {
    const { children } = parent.node;
    const old = children!.get(name);
    if (old !== undefined) {
      if (isDirectoryNode(old) && isDirectoryNode(node)) {
        describe(old, node);
        return false;
      }
      this.#remove(parent, name, old);
      // Whatever the layers below have there went away with the first entry of this name.
      if (isDirectoryNode(node)) this.opaque.add(node);
    }
    if (++this.#nodes > this.#maxNodes)
      throw new MicaError('RESOURCE_EXHAUSTED', `a layer of more than ${this.#maxNodes} files`);
    children!.set(name, node);
    if (this.ignoresCase) this.#spellingsOf(parent.node).set(foldName(name), name);
    return true;
  }

  /** Takes away what this layer has as `name`; lower layers' files stay as they are. */
  remove(parent: Directory, name: string): void {
    const old = parent.node.children!.get(name);
    if (old === undefined) return;
    this.#remove(parent, name, old);
    parent.node.children!.delete(name);
    this.#spellings.delete(parent.node);
  }

  /** Deletes what lower layers have as `name`; what this layer has there stays. */
  whiteout(parent: Directory, name: string): void {
    const node = parent.node.children!.get(name);
    if (node === undefined) {
      this.put(parent, name, new Node(S_IFCHR));
      this.sink.whiteout(parent.path, name);
    } else if (isDirectoryNode(node)) this.hideLower(this.#at(parent, name, node));
  }

  /** Hides what lower layers have in the directory. */
  hideLower({ node, path }: Directory): void {
    if (this.opaque.has(node)) return;
    this.opaque.add(node);
    this.sink.opaque(path, node);
  }

  /**
   * What the lower layers have as `name`, if this layer lets it be seen.
   * @returns `unknown` while nobody knows the lower layers
   */
  below(parent: Directory, name: string): LowerNode | undefined | 'unknown' {
    for (let above = parent; ; above = above.parent) {
      if (this.opaque.has(above.node)) return undefined;
      if (above === this.root) break;
    }
    this.dependent = true;
    if (this.#lower === undefined) {
      this.sink = noSink;
      return 'unknown';
    }
    return this.#lower.find([...splitNames(parent.path), name], this.ignoresCase);
  }

  /** How this layer writes `name` in the directory: where case makes no other name, as it came first. */
  spelled({ node }: Directory, name: string): string {
    if (!this.ignoresCase || node.children!.has(name)) return name;
    return this.#spellingsOf(node).get(foldName(name)) ?? name;
  }

  #spellingsOf(node: Node): Map<string, string> {
    let names = this.#spellings.get(node);
    if (names === undefined) {
      names = new Map([...node.children!.keys()].map((name) => [foldName(name), name]));
      this.#spellings.set(node, names);
    }
    return names;
  }

  #find(path: string, create: boolean): Directory | undefined {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const { directory, isLasting } = this.#walk(path, create);
    if (!isLasting || directory === undefined) return directory;
    if (this.#known.size >= CACHED_PATHS) this.#known.clear();
    this.#known.set(path, directory);
    return directory;
  }

  /**
   * `isLasting`: it leads there until a directory or link of this layer goes away. It does not where
   * a new entry suffices: over a link of the layers below, or where a link leads through nothing, or
   * a file, and back.
   */
  #walk(path: string, create: boolean): { directory?: Directory; isLasting: boolean } {
    let [at, links, steps, isLasting] = [this.root, 0, 0, true];
    const names = splitNames(path).reverse();
    /** Names below `at` that lead to nothing: made at the end, unless a `..` takes them back. */
    const missing: string[] = [];
    for (let given = names.pop(); given !== undefined; given = names.pop()) {
      const name = missing.length > 0 ? given : this.spelled(at, given);
      if (++steps > MAX_STEPS) throw tooManyLinks(path);
      if (name === '..') {
        if (missing.pop() === undefined) at = at.parent;
        else {
          isLasting = false;
          // Each way into nothing and back asks the layers below.
          if (++links > MAX_LINKS) throw tooManyLinks(path);
        }
        continue;
      }
      const next = missing.length > 0 ? undefined : this.#step(at, name);
      if (next === undefined) missing.push(name);
      else if ('node' in next) at = next;
      else {
        isLasting &&= !next.lower;
        if (++links > MAX_LINKS) throw tooManyLinks(path);
        if (next.target.startsWith('/')) at = this.root;
        names.push(...splitNames(next.target).reverse());
      }
    }
    if (missing.length > 0 && !create) return { isLasting };
    for (const name of missing) at = this.#make(at, name, implicitDirectory());
    return { directory: at, isLasting };
  }

  /** Where one name leads; `undefined` when no directory is there. */
  #step(at: Directory, name: string): Directory | Link | undefined {
    const child = at.node.children!.get(name);
    if (child !== undefined && isDirectoryNode(child)) return this.#at(at, name, child);
    if (child !== undefined && typeOf(child) === S_IFLNK)
      return { target: child.target!, lower: false };
    const lower = child === undefined ? this.below(at, name) : undefined;
    if (lower === undefined || lower === 'unknown' || lower.kind === 'other') return undefined;
    if (lower.kind === 'symlink') return { target: lower.target!, lower: true };
    const node = lower.copy(() => 0);
    node.implicit = true;
    return this.#make(at, name, node);
  }

  /** A directory where this layer has nothing, or has deleted what was there. */
  #make(parent: Directory, name: string, node: Node): Directory {
    const child = parent.node.children!.get(name);
    if (child !== undefined && !isWhiteoutNode(child))
      throw new MicaError(
        'INVALID_ARGUMENT',
        `a member lies below ${shown(pathOf(parent, name))}, which is no directory`,
      );
    this.put(parent, name, node);
    const made = this.#at(parent, name, node);
    this.sink.directory(parent.path, name, node);
    return made;
  }

  #at(parent: Directory, name: string, node: Node): Directory {
    const known = this.#directories.get(node);
    if (known !== undefined) return known;
    const path = pathOf(parent, name);
    if (path.length > MAX_PATH)
      throw new MicaError('INVALID_ARGUMENT', `directories too deep: ${shown(path)}`);
    const directory = { node, path, parent };
    this.#directories.set(node, directory);
    return directory;
  }

  #remove(parent: Directory, name: string, old: Node): void {
    this.sink.remove(parent.path, name);
    if (isDirectoryNode(old) || typeOf(old) === S_IFLNK) this.#known.clear();
  }
}

const pathOf = ({ path }: Directory, name: string): string =>
  path === '' ? name : `${path}/${name}`;

/** Gives `node` the attributes of `from`. */
export function describe(node: Node, from: Node): void {
  const { mode, uid, gid, mtime, mtimeNs, xattrs, implicit } = from;
  Object.assign(node, { mode, uid, gid, mtime, mtimeNs, xattrs, implicit });
}

/** A directory that no entry describes. */
function implicitDirectory(): Node {
  const node = new Node(S_IFDIR | 0o755);
  node.implicit = true;
  return node;
}

const tooManyLinks = (path: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `too many levels of symbolic links in ${shown(path)}`);
