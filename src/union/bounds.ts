import { MicaError } from '../errors.ts';
import type { Index } from '../erofs/index-file.ts';
import { decode } from './byte-string.ts';

/** Deeper than any path the kernel accepts (PATH_MAX holds 2048 components). */
const MAX_DEPTH = 4096;
/** No directory entry is smaller than its fixed part and one byte of name. */
const DIRENT_SIZE = 13;

/**
 * Keeps a walk over indexes that lie from going on for ever: directories that contain themselves,
 * or that share their entries, so that a small file would describe an endless tree.
 */
export class Bounds {
  readonly #visited: readonly Set<number>[];
  /** Entries that all indexes together can hold at most. */
  #left = 0;

  constructor(indexes: readonly Index[]) {
    this.#visited = indexes.map(() => new Set());
    for (const { size } of indexes) this.#left += Math.ceil(size / DIRENT_SIZE);
  }

  /** @throws DATA_LOSS if the walk was in this directory before */
  enter(layer: number, nid: number): void {
    const visited = this.#visited[layer]!;
    if (visited.has(nid)) throw damaged(layer, `directory ${nid} has two parents`);
    visited.add(nid);
  }

  /** @throws DATA_LOSS when there are more entries than the indexes can hold */
  count(layer: number, entries: number): void {
    this.#left -= entries;
    if (this.#left < 0) throw damaged(layer, 'directories share their entries');
  }

  /** @throws FAILED_PRECONDITION when `path` is deeper than what any system could open */
  checkDepth(depth: number, path: string): void {
    if (depth <= MAX_DEPTH) return;
    const start = decode(path.slice(0, 60));
    throw new MicaError(
      'FAILED_PRECONDITION',
      `walk /${start}…: directories are nested deeper than ${MAX_DEPTH}`,
    );
  }
}

const damaged = (layer: number, what: string): MicaError =>
  new MicaError('DATA_LOSS', `index of layer ${layer}: ${what}`);
