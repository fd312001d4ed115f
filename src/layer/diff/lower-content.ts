import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Index, Inode } from '../../erofs/index-file.ts';
import type { Extent } from '../../erofs/node.ts';
import { isCode } from '../../errors.ts';
import { Root } from '../../fs/root.ts';
import { close, O_NOFOLLOW, O_RDONLY } from '../../sys/at.ts';
import { fromNode } from '../../sys/errno.ts';
import { pread } from '../../sys/file.ts';
import { FILES_DIRECTORY, TAR_FILE } from '../index-output.ts';

/** A file of a lower layer, open for reading. */
export interface Content extends Disposable {
  /** Fills `into` from `offset`, which only grows. @returns whether there was as much */
  read(offset: number, into: Uint8Array): boolean;
}

const NOTHING = new Uint8Array();

interface Place {
  readonly path: string;
  readonly inode: Inode;
  readonly layer: number;
}

/**
 * From the layer's kept tar, or from its own tree.
 * @param directories - of the layers, as `indexes` base first
 * @returns `undefined` where nobody has the content
 */
export function openContent(
  { path, inode, layer }: Place,
  indexes: readonly Index[],
  directories: readonly string[],
): Content | undefined {
  const directory = directories[layer]!;
  if (!existsSync(join(directory, TAR_FILE)))
    return fromTree(join(directory, FILES_DIRECTORY), path);
  const index = indexes[layer]!;
  const extents = extentsOf(index, inode.nid);
  if (extents === undefined) return undefined;
  const tars = new Map<number, string>();
  for (const { device } of extents) {
    if (device === 0) continue;
    const tag = index.devices[device - 1]?.tag;
    const owner = indexes.findIndex(({ devices }) => devices[0]?.tag === tag);
    const tar = owner < 0 ? '' : join(directories[owner]!, TAR_FILE);
    if (!existsSync(tar)) return undefined;
    tars.set(device, tar);
  }
  return new FromTars(index, extents, tars);
}

/** An index that knows the file without its content refuses to tell. */
function extentsOf(index: Index, nid: number): Extent[] | undefined {
  try {
    return index.extents(nid);
  } catch (error) {
    if (isCode(error, 'FAILED_PRECONDITION')) return undefined;
    throw error;
  }
}

function fromTree(files: string, path: string): Content | undefined {
  let fd: number;
  try {
    using root = new Root(files);
    fd = root.openExact(path, O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    if (isCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
  return {
    read: (offset, into) => pread(fd, into, offset, path) === into.length,
    [Symbol.dispose]: () => close(fd),
  };
}

class FromTars implements Content {
  readonly #index: Index;
  readonly #extents: readonly Extent[];
  readonly #fds = new Map<number, number>();
  /** The first extent that is not behind us. */
  #next = 0;

  constructor(index: Index, extents: readonly Extent[], tars: ReadonlyMap<number, string>) {
    this.#index = index;
    this.#extents = extents;
    try {
      for (const [device, path] of tars) this.#fds.set(device, openSync(path, 'r'));
    } catch (error) {
      this[Symbol.dispose]();
      throw fromNode(error);
    }
  }

  read(offset: number, into: Uint8Array): boolean {
    into.fill(0);
    const end = offset + into.length;
    for (let extent = this.#extents[this.#next]; extent; extent = this.#extents[this.#next]) {
      const { logical, device, physical, length } = extent;
      const [from, to] = [Math.max(logical, offset), Math.min(logical + length, end)];
      const piece = from < to ? into.subarray(from - offset, to - offset) : NOTHING;
      if (!this.#readDevice(device, physical + from - logical, piece)) return false;
      if (logical + length > end) break;
      this.#next++;
    }
    return true;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds.values()) closeSync(fd);
    this.#fds.clear();
  }

  #readDevice(device: number, physical: number, into: Uint8Array): boolean {
    if (device !== 0) return pread(this.#fds.get(device)!, into, physical, '') === into.length;
    this.#index.read(physical, into);
    return true;
  }
}
