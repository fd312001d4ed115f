import type { Extent, Node } from '../../erofs/node.ts';
import { ftruncate, pwrite, write } from '../../sys/file.ts';

/** Puts the stored data of a new, open file where they belong; what they leave out is a hole. */
export class FileWriter {
  readonly fd: number;
  readonly name: string;
  readonly node: Node;
  readonly #runs: readonly Extent[] | undefined;
  /** The run that is being written, and how much of it is there. */
  #run = 0;
  #done = 0;

  constructor(fd: number, name: string, node: Node) {
    this.fd = fd;
    this.name = name;
    this.node = node;
    const [first, ...more] = node.extents ?? [];
    const isWhole = first?.logical === 0 && first.length === node.size && more.length === 0;
    this.#runs = isWhole || node.size === 0 ? undefined : (node.extents ?? []);
  }

  write(chunk: Uint8Array): void {
    if (this.#runs === undefined) return write(this.fd, chunk, this.name);
    for (let at = 0; at < chunk.length;) {
      const run = this.#runs[this.#run];
      if (run === undefined) return;
      const piece = chunk.subarray(at, at + run.length - this.#done);
      pwrite(this.fd, piece, run.logical + this.#done, this.name);
      at += piece.length;
      this.#done += piece.length;
      if (this.#done < run.length) return;
      this.#run++;
      this.#done = 0;
    }
  }

  /** All data are there: the file gets its size. */
  finish(): void {
    if (this.#runs !== undefined) ftruncate(this.fd, this.node.size, this.name);
  }
}
