import { readSync } from 'node:fs';
import { fromNode } from '../sys/errno.ts';
import { MAX_MATCH } from './symbols.ts';

/** How far back a match may lie. */
export const WINDOW = 32_768;
/** In bytes; several windows, so that moving one is rare. */
const SIZE = 64 * WINDOW;
/** What an encoder looks at beyond where it is: a whole block at most, and the longest match. In bytes. */
const AHEAD: number = 2 * WINDOW + MAX_MATCH;

/** Where the data come from: what `read` puts into `into`, 0 at the end. */
export type ReadInto = (into: Uint8Array) => number;

/** From an open file's beginning. */
export function fromFile(fd: number): ReadInto {
  let position = 0;
  return (into) => {
    try {
      const count = readSync(fd, into, 0, into.length, position);
      position += count;
      return count;
    } catch (error) {
      throw fromNode(error);
    }
  };
}

/** The data that a stream inflates to: a window that moves along them. */
export class Plain {
  readonly bytes: Uint8Array = new Uint8Array(SIZE);
  readonly #read: ReadInto;
  #over = false;
  /** Of the bytes that are here. */
  end = 0;
  /** How many were let go before them. */
  gone = 0;

  constructor(read: ReadInto) {
    this.#read = read;
    this.#more();
  }

  /** Whether an encoder at `at` would see too little although there is more. */
  isShort(at: number): boolean {
    return this.end - at < AHEAD && !this.#over;
  }

  /** Moves on to `at`, keeping a window before it. @returns by how many bytes everything moved, whole windows */
  move(at: number): number {
    const shift = Math.max(0, Math.floor(at / WINDOW) - 1) * WINDOW;
    this.bytes.copyWithin(0, shift, this.end);
    this.end -= shift;
    this.gone += shift;
    this.#more();
    return shift;
  }

  #more(): void {
    while (this.end < SIZE && !this.#over) {
      const count = this.#read(this.bytes.subarray(this.end));
      this.end += count;
      this.#over = count === 0;
    }
  }
}
