import { closeSync, openSync, rmSync, write } from 'node:fs';
import { fromNode } from '../sys/errno.ts';
import type { Piece } from './slabs.ts';

/**
 * Writes a new file on a thread of the pool, one piece after the other, while the next ones are
 * being made. Pieces are released when they are written, or when nothing will be any more.
 */
export class WriteBehind implements AsyncDisposable {
  readonly #path: string;
  readonly #fd: number;
  readonly #queue: Piece[] = [];
  /** Where the next byte goes. */
  #at = 0;
  #open = true;
  #busy = false;
  #failure: Error | undefined;
  #idle: (() => void) | undefined;

  /** @param path - of the file, for its owner alone; it replaces what is there */
  constructor(path: string) {
    this.#path = path;
    try {
      // Writing over a large file is slower than writing a new one.
      rmSync(path, { force: true });
      this.#fd = openSync(path, 'wx', 0o600);
    } catch (error) {
      throw fromNode(error);
    }
  }

  /** @throws what went wrong with an earlier piece */
  write(piece: Piece): void {
    this.#queue.push(piece);
    if (this.#failure !== undefined) this.#drop();
    this.#throw();
    if (!this.#busy) this.#next();
  }

  /** Everything is written when this resolves. */
  async flush(): Promise<void> {
    await this.#settled();
    this.#throw();
  }

  /** Waits for what is being written, and closes the file; it does not throw. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#settled();
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  async #settled(): Promise<void> {
    if (!this.#busy) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  #next(): void {
    const [piece] = this.#queue;
    this.#busy = piece !== undefined;
    if (piece !== undefined) this.#write(piece, 0);
    else this.#idle?.();
  }

  /** A disk that fills up may take a part of it; the next attempt tells why. */
  #write(piece: Piece, done: number): void {
    const left = piece.bytes.length - done;
    write(this.#fd, piece.bytes, done, left, this.#at, (error, written) => {
      if (error === null) this.#at += written;
      else this.#failure = fromNode(error, this.#path) as Error;
      if (error === null && written < left) return this.#write(piece, done + written);
      this.#queue.shift();
      piece.release();
      if (error !== null) this.#drop();
      this.#next();
    });
  }

  #drop(): void {
    for (const { release } of this.#queue.splice(0)) release();
  }

  #throw(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
