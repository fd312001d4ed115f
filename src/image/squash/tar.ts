import { isDeepStrictEqual } from 'node:util';
import { type Index, isMadeUp, isMark } from '../../erofs/index-file.ts';
import {
  type Extent,
  majorOf,
  minorOf,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../../erofs/node.ts';
import { openIndex } from '../../erofs/read.ts';
import {
  isDirectory,
  openStack,
  type Stack,
  type StackNode,
  type StackPart,
} from '../../erofs/stack.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { mark, whiteoutOf } from '../../layer/diff/mark-member.ts';
import { OPAQUE_WHITEOUT } from '../../oci/whiteout.ts';
import { type NewEntry, type NewMember, writeTar } from '../../tar/write.ts';
import type { UnionLayer } from '../../union/union.ts';
import { type SquashedEntry, squashedEntries } from './walk.ts';

export interface SquashOptions extends Abortable {
  /** The lowest of the layers that become one; those below stay. Layer 0 is the base. */
  readonly from: number;
}

/**
 * The archive of one layer that does what all layers from `from` up do together: stacked on the
 * layers below it shows the same tree. Deletions are told only where something is below. The same
 * layers give the same bytes, whatever driver keeps them.
 *
 * @param layers base layer first
 */
export async function* squashedTar(
  layers: readonly UnionLayer[],
  { from, signal }: SquashOptions,
): Bytes {
  using opened = new DisposableStack();
  const indexes = layers.map(({ index }) => opened.use(openIndex(index)));
  yield* writeTar(new Squash(layers, indexes, from, signal).members());
}

class Squash {
  readonly #layers: readonly UnionLayer[];
  readonly #indexes: readonly Index[];
  readonly #from: number;
  readonly #signal: AbortSignal | undefined;
  /** The first path of every file, by layer and inode. */
  readonly #first = new Map<string, string>();

  constructor(
    layers: readonly UnionLayer[],
    indexes: readonly Index[],
    from: number,
    signal: AbortSignal | undefined,
  ) {
    this.#layers = layers;
    this.#indexes = indexes;
    this.#from = from;
    this.#signal = signal;
  }

  *members(): Generator<NewMember, void, undefined> {
    const all = openStack(this.#indexes);
    const below = openStack(this.#indexes.slice(0, this.#from));
    const root = this.#root(all);
    const isMerged = all.root?.parts.some(({ layer }) => layer < this.#from);
    // A driver that copies trees says of every root what it was copied from.
    if (root !== undefined && !(isMerged && isDeepStrictEqual(root, this.#root(below)))) yield root;
    for (const entry of squashedEntries(all, below, this.#from)) {
      this.#signal?.throwIfAborted();
      yield this.#member(entry);
    }
  }

  /** The nearest word on the root. */
  #root(stack: Stack): NewMember | undefined {
    const part = stack.root?.parts.find(
      ({ layer, inode }) => !isMadeUp(this.#indexes[layer]!, inode),
    );
    return part && this.#entry('./', part);
  }

  #member(entry: SquashedEntry): NewMember {
    if (entry.kind === 'opaque') return emptyMark(`${prefixOf(entry.path)}${OPAQUE_WHITEOUT}`);
    if (entry.kind === 'whiteout') return emptyMark(whiteoutOf(entry.path));
    const { path, node } = entry;
    const id = `${node.layer}:${node.inode.nid}`;
    const first = isDirectory(node.inode) ? undefined : this.#first.get(id);
    if (first !== undefined) return { ...this.#entry(path, node), ...linkTo(first) };
    this.#first.set(id, path);
    return (node.inode.mode & S_IFMT) === S_IFREG
      ? this.#file(path, node)
      : this.#entry(path, node);
  }

  #file(path: string, node: StackNode): NewMember {
    const { layer, inode } = node;
    const { nid, size } = inode;
    const index = this.#indexes[layer]!;
    const runs = size < WORTH ? undefined : runsOf(index.extents(nid), size);
    const { data } = this.#layers[layer]!;
    const signal = this.#signal;
    async function* content(): Bytes {
      for (const { offset, length } of runs ?? [{ offset: 0, length: size }])
        if (length > 0)
          yield* data.read({ path, nid, size, index }, offset, offset + length, { signal });
    }
    return { ...this.#entry(path, node), size, sparse: runs, content: content() };
  }

  #entry(name: string, { layer, inode }: StackPart): NewMember {
    const { mode, uid, gid, mtime, mtimeNs, rdev } = inode;
    const index = this.#indexes[layer]!;
    const type = mode & S_IFMT;
    const xattrs = inode.hasXattrs
      ? index.xattrs(inode.nid).filter((xattr) => !isMark(xattr.name))
      : [];
    return {
      ...emptyMark(name),
      type: typeOf(name, type),
      linkName: type === S_IFLNK ? index.readlink(inode.nid) : '',
      mode: mode & 0o7777,
      uid,
      gid,
      mtime,
      mtimeNs,
      deviceMajor: majorOf(rdev),
      deviceMinor: minorOf(rdev),
      xattrs: xattrs.length > 0 ? xattrs : undefined,
    };
  }
}

const TYPES: ReadonlyMap<number, NewEntry['type']> = new Map([
  [S_IFREG, 'file'],
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'char'],
  [S_IFBLK, 'block'],
  [S_IFIFO, 'fifo'],
]);

function typeOf(path: string, type: number): NewEntry['type'] {
  const found = TYPES.get(type);
  if (found !== undefined) return found;
  throw new MicaError(
    'DATA_LOSS',
    `squash: ${JSON.stringify(path)} is of a type that no layer has`,
  );
}

const linkTo = (first: string): Partial<NewMember> => ({
  type: 'link',
  linkName: first,
  xattrs: undefined,
  size: 0,
});

/** As for any layer that Mica makes: a file is written as sparse if it has so many zeros. In bytes. */
const WORTH = 1 << 20;

/** Where a file's data are, if its holes are worth telling of. */
function runsOf(extents: readonly Extent[], size: number): NewEntry['sparse'] {
  const runs: { offset: number; length: number }[] = [];
  let data = 0;
  for (const { logical, length: whole } of extents) {
    const length = Math.min(whole, size - logical);
    if (length <= 0) continue;
    data += length;
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === logical) last.length += length;
    else runs.push({ offset: logical, length });
  }
  return size - data >= WORTH ? runs : undefined;
}

const prefixOf = (directory: string): string => (directory === '' ? '' : `${directory}/`);

const emptyMark = (name: string): NewMember => ({ ...mark(name), content: new Uint8Array() });
