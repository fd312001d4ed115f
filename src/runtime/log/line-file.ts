import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { isCode } from '../../errors.ts';
import { fromNode } from '../../sys/errno.ts';

const CHUNK = 64 * 1024;
const NEWLINE = 0x0a;

/** A file of lines that somebody else appends to. */
export class LineFile implements Disposable {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafe(CHUNK);
  #position = 0;
  #rest: Buffer = Buffer.alloc(0);

  /** @returns `undefined` when there is none */
  static open(path: string): LineFile | undefined {
    try {
      return new LineFile(openSync(path, 'r'));
    } catch (error) {
      const known = fromNode(error);
      if (isCode(known, 'NOT_FOUND')) return undefined;
      throw known;
    }
  }

  private constructor(fd: number) {
    this.#fd = fd;
  }

  get inode(): number {
    return fstatSync(this.#fd).ino;
  }

  /** The complete lines since the last call, without their ends. */
  *lines(): Generator<string> {
    for (;;) {
      const read = readSync(this.#fd, this.#buffer, 0, CHUNK, this.#position);
      if (read === 0) return;
      this.#position += read;
      const data = Buffer.concat([this.#rest, this.#buffer.subarray(0, read)]);
      let at = 0;
      for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, at)) {
        yield data.toString('utf8', at, end);
        at = end + 1;
      }
      this.#rest = data.subarray(at);
    }
  }

  /**
   * Goes to where the last `count` complete lines begin.
   * @returns how many there are, if fewer
   */
  skipToLast(count: number): number {
    const { size } = fstatSync(this.#fd);
    // The end of the last line ends no line before the ones we look for.
    let found = -1;
    for (let end = size; end > 0;) {
      const start = Math.max(0, end - CHUNK);
      readSync(this.#fd, this.#buffer, 0, end - start, start);
      for (let at = end - start - 1; at >= 0; at--) {
        if (this.#buffer[at] !== NEWLINE || ++found < count) continue;
        this.#position = start + at + 1;
        return count;
      }
      end = start;
    }
    this.#position = 0;
    return found + 1;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
