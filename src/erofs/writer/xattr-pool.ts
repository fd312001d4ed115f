import { MicaError } from '../../errors.ts';
import * as F from '../format.ts';
import type { Node, Xattr } from '../node.ts';

/** The xattrs of one inode as they will be written. */
export interface XattrSet {
  readonly shared: readonly PooledXattr[];
  readonly inline: readonly PooledXattr[];
  /** With the header, in bytes. */
  readonly size: number;
}

/** A name and value that one or more inodes have. */
export interface PooledXattr {
  readonly index: number;
  readonly rest: string;
  readonly value: Uint8Array;
  /** Of the entry, aligned, in bytes. */
  readonly size: number;
  uses: number;
  /** In the shared area, in bytes; -1: not there. */
  offset: number;
}

/** The size field counts words in 16 bits, the header as one of them. */
const MAX_INLINE = F.XATTR_IBODY_HEADER_SIZE + 4 * (0xffff - 1);
const NONE: XattrSet = { shared: [], inline: [], size: 0 };

/**
 * Collects the xattrs of all inodes first; then {@link setOf} says which are shared: those that
 * two inodes or more have. (An SELinux label on every file of a layer costs 160 bytes an inode
 * inline and 96 shared; even one repetition of the shortest entry costs nothing.)
 */
export class XattrPool {
  /** Xattrs that no EROFS image can hold, and that were left out. */
  dropped = 0;
  /** The size of the shared area, in bytes. */
  sharedSize = 0;
  /** Its entries in the order of their offsets. */
  readonly shared: PooledXattr[] = [];
  readonly #pool = new Map<string, PooledXattr>();
  readonly #byNode = new Map<Node, PooledXattr[]>();

  add(node: Node): void {
    const xattrs = node.xattrs ?? [];
    const last = new Map(xattrs.map((xattr) => [xattr.name, xattr]));
    const pooled: PooledXattr[] = [];
    for (const name of [...last.keys()].sort()) {
      const entry = this.#intern(last.get(name)!);
      if (entry) pooled.push(entry);
      else this.dropped++;
    }
    if (pooled.length > 0) this.#byNode.set(node, pooled);
  }

  setOf(node: Node): XattrSet {
    const all = node.xattrs && this.#byNode.get(node);
    if (!all) return NONE;
    const repeated = all.filter((entry) => entry.uses > 1).slice(0, F.XATTR_SHARED_MAX);
    const set = makeSet(repeated, all);
    if (set.size <= MAX_INLINE) return this.#keep(set);
    const biggest = all.toSorted((a, b) => b.size - a.size).slice(0, F.XATTR_SHARED_MAX);
    const smaller = makeSet(biggest, all);
    if (smaller.size <= MAX_INLINE) return this.#keep(smaller);
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `write index: ${all.length} xattrs of one file do not fit`,
    );
  }

  #keep(set: XattrSet): XattrSet {
    for (const entry of set.shared) {
      if (entry.offset >= 0) continue;
      entry.offset = this.sharedSize;
      this.sharedSize += entry.size;
      this.shared.push(entry);
    }
    return set;
  }

  #intern({ name, value }: Xattr): PooledXattr | undefined {
    const split = xattrNameOf(name);
    if (!split || value.length > 0xffff) return undefined;
    const key = `${name}\0${Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1')}`;
    let entry = this.#pool.get(key);
    if (!entry) {
      const size = (F.XATTR_ENTRY_SIZE + split.rest.length + value.length + 3) & ~3;
      entry = { ...split, value, size, uses: 0, offset: -1 };
      this.#pool.set(key, entry);
    }
    entry.uses++;
    return entry;
  }
}

/**
 * How the format spells an xattr's name: a number for its prefix, and the rest.
 * `undefined`: EROFS cannot hold xattrs of that namespace.
 */
export function xattrNameOf(
  name: string,
): { readonly index: number; readonly rest: string } | undefined {
  for (const [index, prefix] of F.XATTR_PREFIXES.entries()) {
    if (prefix === undefined || !name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    const whole = !prefix.endsWith('.');
    if (whole ? rest === '' : rest !== '' && rest.length <= F.EROFS_NAME_LEN)
      return { index, rest };
  }
  return undefined;
}

function makeSet(shared: readonly PooledXattr[], all: readonly PooledXattr[]): XattrSet {
  const inline = all.filter((entry) => !shared.includes(entry));
  const entries = inline.reduce((sum, entry) => sum + entry.size, 0);
  return { shared, inline, size: F.XATTR_IBODY_HEADER_SIZE + 4 * shared.length + entries };
}
