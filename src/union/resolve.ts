import { MicaError } from '../errors.ts';
import { isDirectory, type Stack, type StackNode } from '../erofs/stack.ts';
import { S_IFLNK, S_IFMT } from '../erofs/node.ts';
import { decode, encode } from './byte-string.ts';
import type { FollowedLink, TreePath } from './tree.ts';

/** As Linux: enough for every honest path, and an end for the others. */
const MAX_LINKS = 40;

/** Where a path leads. */
export interface Found {
  /** `undefined`: nothing is there. */
  readonly node: StackNode | undefined;
  /** What the path treats as a directory, and is none: the reason why nothing is there. */
  readonly blockedBy: string | undefined;
  /** From the root, free of links as far as it exists; the rest as written. Byte strings. */
  readonly names: readonly string[];
  readonly links: readonly FollowedLink[];
}

/**
 * Walks a path as the kernel would inside a chroot: absolute targets begin at the tree's root, and
 * `..` of the root is the root.
 *
 * @throws FAILED_PRECONDITION after 40 links, INVALID_ARGUMENT for a path that no system could have
 */
export function resolvePath(
  stack: Stack,
  path: TreePath,
  { follow, paths }: { readonly follow: boolean; readonly paths?: PathForm | undefined },
): Found {
  const bytes = encode(path);
  if (bytes.includes('\0'))
    throw new MicaError('INVALID_ARGUMENT', `path ${JSON.stringify(decode(bytes))} has a NUL byte`);
  return new Resolver(stack, bytes, follow, paths).run();
}

/** How an image's own system writes paths and links, where that is not as Unix does. */
export interface PathForm {
  /** A path that is asked for, as one with slashes from the root. Byte strings. */
  readonly asked: (path: string) => string;
  /** The same of what a link leads to, which may be relative. */
  readonly target: (target: string) => string;
}

class Resolver {
  readonly #stack: Stack;
  readonly #asked: string;
  readonly #follow: boolean;
  readonly #paths: PathForm | undefined;
  /** Components yet to walk, the next one last. */
  readonly #pending: string[];
  readonly #names: string[] = [];
  readonly #links: FollowedLink[] = [];
  #node: StackNode | undefined;

  constructor(stack: Stack, path: string, follow: boolean, paths: PathForm | undefined) {
    this.#stack = stack;
    this.#asked = path;
    this.#follow = follow;
    this.#paths = paths;
    this.#node = stack.root;
    this.#pending = (paths?.asked(path) ?? path).split('/').reverse();
  }

  run(): Found {
    for (let name = this.#pending.pop(); name !== undefined; name = this.#pending.pop()) {
      const node = this.#node;
      if (node && name === '' && !node.parent) continue; // leading slashes
      if (!node || !isDirectory(node.inode)) return this.#missing(name);
      this.#step(node, name);
    }
    return { node: this.#node, blockedBy: undefined, names: this.#names, links: this.#links };
  }

  #step(node: StackNode, name: string): void {
    if (name === '' || name === '.') return;
    if (name === '..') {
      this.#node = node.parent ?? node;
      this.#names.pop();
      return;
    }
    const child = this.#stack.child(node, name);
    if (child && this.#isFollowed(child)) this.#enter(child, name);
    else {
      this.#names.push(child?.name ?? name);
      this.#node = child;
    }
  }

  #isFollowed({ inode }: StackNode): boolean {
    if ((inode.mode & S_IFMT) !== S_IFLNK) return false;
    return this.#follow || this.#pending.length > 0;
  }

  #enter({ layer, inode }: StackNode, name: string): void {
    const target = this.#stack.indexes[layer]!.readlink(inode.nid);
    const path = decode(`/${[...this.#names, name].join('/')}`);
    this.#links.push({ path, target: decode(target), layer });
    if (this.#links.length > MAX_LINKS)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `look up ${decode(this.#asked)}: more than ${MAX_LINKS} symbolic links, the last one ${path}`,
      );
    const leads = this.#paths?.target(target) ?? target;
    if (leads.startsWith('/')) {
      this.#node = this.#stack.root;
      this.#names.length = 0;
    }
    for (const part of leads.split('/').reverse()) this.#pending.push(part);
  }

  /** Nothing is here: the rest is only words. */
  #missing(next: string): Found {
    const blockedBy = this.#node && decode(`/${this.#names.join('/')}`);
    for (const name of [next, ...this.#pending.reverse()]) {
      if (name === '..') this.#names.pop();
      else if (name !== '' && name !== '.') this.#names.push(name);
    }
    return { node: undefined, blockedBy, names: this.#names, links: this.#links };
  }
}
