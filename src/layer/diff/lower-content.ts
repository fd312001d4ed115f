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

/** The content of lower layers' files, from each layer's kept tar, or from its own tree. */
export class LowerContents implements Disposable {
  readonly #indexes: readonly Index[];
  readonly #directories: readonly string[];
  readonly #together: string | undefined;
  /** By layer, opened when asked for. */
  readonly #stores = new Map<number, Root | number>();

  /**
   * @param directories - of the layers, as `indexes` base first
   * @param together - a directory with the files of all of them, if there is one
   */
  constructor(indexes: readonly Index[], directories: readonly string[], together?: string) {
    this.#indexes = indexes;
    this.#directories = directories;
    this.#together = together;
  }

  /** @returns `undefined` where nobody has the content */
  open(layer: number, inode: Inode, path: string): Content | undefined {
    const store = this.#store(this.#together === undefined ? layer : TOGETHER);
    return typeof store === 'number' ? this.#fromTars(layer, inode) : fromTree(store, path);
  }

  [Symbol.dispose](): void {
    for (const store of this.#stores.values())
      if (typeof store === 'number') closeSync(store);
      else store[Symbol.dispose]();
    this.#stores.clear();
  }

  /** The layer's tar, open, or the root of its tree. */
  #store(layer: number): Root | number {
    let store = this.#stores.get(layer);
    if (store !== undefined) return store;
    store = this.#together === undefined ? this.#open(layer) : new Root(this.#together);
    this.#stores.set(layer, store);
    return store;
  }

  #open(layer: number): Root | number {
    const directory = this.#directories[layer]!;
    const tar = join(directory, TAR_FILE);
    return existsSync(tar) ? open(tar) : new Root(join(directory, FILES_DIRECTORY));
  }

  #fromTars(layer: number, { nid }: Inode): Content | undefined {
    const index = this.#indexes[layer]!;
    const extents = extentsOf(index, nid);
    const tars = new Map<number, number>();
    for (const { device } of extents ?? []) {
      if (device === 0 || tars.has(device)) continue;
      const tag = index.devices[device - 1]?.tag;
      const owner = this.#indexes.findIndex(({ devices }) => devices[0]?.tag === tag);
      const tar = owner < 0 ? undefined : this.#store(owner);
      if (typeof tar !== 'number') return undefined;
      tars.set(device, tar);
    }
    return extents && new FromTars(index, extents, tars);
  }
}

/** In place of the number of a layer. */
const TOGETHER = -1;

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw fromNode(error);
  }
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

function fromTree(root: Root, path: string): Content | undefined {
  let fd: number;
  try {
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

const NOTHING = new Uint8Array();

class FromTars implements Content {
  readonly #index: Index;
  readonly #extents: readonly Extent[];
  readonly #tars: ReadonlyMap<number, number>;
  /** The first extent that is not behind us. */
  #next = 0;

  /** @param tars - open files, by device; they stay open */
  constructor(index: Index, extents: readonly Extent[], tars: ReadonlyMap<number, number>) {
    this.#index = index;
    this.#extents = extents;
    this.#tars = tars;
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

  [Symbol.dispose](): void {}

  #readDevice(device: number, physical: number, into: Uint8Array): boolean {
    if (device !== 0) return pread(this.#tars.get(device)!, into, physical, '') === into.length;
    this.#index.read(physical, into);
    return true;
  }
}
