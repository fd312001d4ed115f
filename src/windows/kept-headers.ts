import { closeSync, openSync, rmSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { writeAll } from '../io/write-all.ts';
import { fromNode } from '../sys/errno.ts';

/**
 * What an archive has beside the data of its files, so that it can be made again to the byte: a
 * sequence of steps, compressed in pieces. A piece is its length in four bytes, and that many bytes
 * of raw deflate; steps do not cross its end.
 */
export const MAGIC: Buffer = Buffer.from('MICAWIN1');
/** A step's first byte: bytes of the archive follow (length in four bytes), or a file's data come here. */
export const STEP = { bytes: 1, data: 2 } as const;
/** Bytes of steps in one piece, about. */
const PIECE = 2 ** 20;
/** What one piece may hold, in bytes; steps with bytes are cut to fit. */
export const MAX_PIECE: number = 2 * PIECE;

interface Run {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

/** Watches an archive go by, and writes down what is not in the layer's files. */
export class KeptHeaders implements Disposable {
  readonly #path: string;
  readonly #fd: number;
  readonly #runs: Run[] = [];
  #steps: Buffer[] = [];
  #size = 0;
  #position = 0;

  constructor(path: string) {
    this.#path = path;
    try {
      rmSync(path, { force: true });
      this.#fd = openSync(path, 'wx', 0o600);
    } catch (error) {
      throw fromNode(error);
    }
    writeAll(this.#fd, MAGIC, path);
  }

  /** In the archive, `size` bytes from `start` on are the data of the file or stream `name`. Before they come. */
  data(name: string, start: number, size: number): void {
    if (size > 0) this.#runs.push({ start, end: start + size, name });
  }

  /** The next bytes of the archive; what they begin has been told. */
  take(chunk: Uint8Array): void {
    const end = this.#position + chunk.length;
    let at = this.#position;
    while (at < end) {
      const run = this.#runs[0];
      if (run === undefined || run.start >= end) {
        this.#bytes(chunk.subarray(at - this.#position));
        break;
      }
      if (at < run.start)
        this.#bytes(chunk.subarray(at - this.#position, run.start - this.#position));
      if (at <= run.start) this.#data(run);
      at = Math.min(run.end, end);
      if (at === run.end) this.#runs.shift();
    }
    this.#position = end;
  }

  finish(): void {
    this.#flush();
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #bytes(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PIECE / 2) {
      const part = Buffer.from(bytes.subarray(at, at + PIECE / 2));
      const head = Buffer.alloc(5);
      head[0] = STEP.bytes;
      head.writeUInt32LE(part.length, 1);
      this.#step(head, part);
    }
  }

  /** The file's data belong here, as many as the file has. */
  #data({ name, start, end }: Run): void {
    const text = Buffer.from(name, 'latin1');
    const head = Buffer.alloc(11);
    head[0] = STEP.data;
    head.writeDoubleLE(end - start, 1);
    head.writeUInt16LE(text.length, 9);
    this.#step(head, text);
  }

  #step(head: Buffer, body: Buffer): void {
    this.#steps.push(head, body);
    this.#size += head.length + body.length;
    if (this.#size >= PIECE) this.#flush();
  }

  #flush(): void {
    if (this.#size === 0) return;
    const packed = deflateRawSync(Buffer.concat(this.#steps), { level: 3 });
    const head = Buffer.alloc(4);
    head.writeUInt32LE(packed.length);
    this.#steps = [];
    this.#size = 0;
    for (const part of [head, packed]) writeAll(this.#fd, part, this.#path);
  }
}
