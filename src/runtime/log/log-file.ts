import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';

export interface LogOptions {
  /** A full file makes room for a new one. In bytes. Default: no limit. */
  readonly maxSize?: number | undefined;
  /** Files kept, the current one among them. Default: 1. */
  readonly maxFiles?: number | undefined;
}

/** Docker cuts longer lines. In bytes. */
const MAX_LINE = 16 * 1024;
const NEWLINE = 0x0a;

/**
 * The log of a container, as Docker keeps it: one JSON document a line, `{"log","stream","time"}`.
 * A line of output is written when it is complete, or has 16 KiB. What finds no room on the disk is
 * counted and dropped, so that the container goes on; no line is ever written in part.
 */
export class LogFile {
  readonly #path: string;
  readonly #maxSize: number;
  readonly #maxFiles: number;
  readonly #pending = new Map<string, Buffer>();
  #fd: number;
  #size: number;
  #lost = 0;

  constructor(path: string, { maxSize = Infinity, maxFiles = 1 }: LogOptions = {}) {
    this.#path = path;
    this.#maxSize = maxSize;
    this.#maxFiles = maxFiles;
    this.#fd = openSync(path, 'a', 0o640);
    this.#size = fstatSync(this.#fd).size;
  }

  /** Bytes of output that were dropped. */
  get lost(): number {
    return this.#lost;
  }

  write(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    const before = this.#pending.get(stream);
    const data = before === undefined ? chunk : Buffer.concat([before, chunk]);
    const time = now();
    const lines: string[] = [];
    let at = 0;
    for (;;) {
      const end = endOfPiece(data, at);
      if (end === undefined) break;
      lines.push(entry(data.toString('utf8', at, end), stream, time));
      at = end;
    }
    // Copied: a slice would keep the whole chunk alive.
    if (at < data.length) this.#pending.set(stream, Buffer.from(data.subarray(at)));
    else this.#pending.delete(stream);
    if (lines.length > 0) this.#append(lines.join(''), at);
  }

  /** Writes what had no end of line, and closes the file. */
  close(): void {
    for (const [stream, rest] of this.#pending)
      this.#append(entry(rest.toString('utf8'), stream, now()), rest.length);
    this.#pending.clear();
    closeSync(this.#fd);
  }

  /** @param length of the output that `text` stands for, in bytes */
  #append(text: string, length: number): void {
    const bytes = Buffer.from(text);
    try {
      if (this.#size > 0 && this.#size + bytes.length > this.#maxSize) this.#rotate();
      let done = 0;
      while (done < bytes.length) done += writeSync(this.#fd, bytes, done);
      this.#size += bytes.length;
    } catch {
      this.#lost += length;
      // Of a write cut short nothing stays: readers expect whole lines.
      try {
        ftruncateSync(this.#fd, this.#size);
      } catch {}
    }
  }

  #rotate(): void {
    for (let number = this.#maxFiles - 1; number > 0; number--) {
      const older = number === 1 ? this.#path : `${this.#path}.${number - 1}`;
      try {
        renameSync(older, `${this.#path}.${number}`);
      } catch {}
    }
    // Followers notice that the name has another file now.
    rmSync(this.#path, { force: true });
    const fresh = openSync(this.#path, 'a', 0o640);
    closeSync(this.#fd);
    this.#fd = fresh;
    this.#size = 0;
  }
}

/** Where the next line to write ends; `undefined` when it is not complete. */
function endOfPiece(data: Buffer, at: number): number | undefined {
  const newline = data.indexOf(NEWLINE, at);
  const end = newline < 0 ? data.length : newline + 1;
  if (end - at <= MAX_LINE) return newline < 0 ? undefined : end;
  let cut = at + MAX_LINE;
  // Not within a character, which has four bytes at most.
  for (let back = 0; back < 3 && (data[cut]! & 0xc0) === 0x80; back++) cut--;
  return cut;
}

const entry = (log: string, stream: string, time: string): string =>
  `${JSON.stringify({ log, stream, time })}\n`;

/** RFC 3339 with microseconds. */
function now(): string {
  const time = performance.timeOrigin + performance.now();
  const micros = Math.floor((time % 1) * 1000);
  return new Date(Math.floor(time))
    .toISOString()
    .replace('Z', `${String(micros).padStart(3, '0')}Z`);
}
