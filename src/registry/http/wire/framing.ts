import { networkFailure } from '../failure.ts';
import type { Head } from './head.ts';

/** Finds the body of an answer in what the connection brings. */
export interface Framing {
  /** The body is complete. */
  readonly done: boolean;
  /** The next part of the body at the beginning of `piece`, and what of `piece` comes after it. */
  next(piece: Buffer): Part;
  /** The connection has ended. @throws when the body has not */
  end(): void;
}

export interface Part {
  /** Empty when `piece` began with framing only. */
  readonly chunk: Buffer;
  readonly rest: Buffer;
}

/** @see https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length */
export function framingOf({ status, headers }: Head, method = 'GET'): Framing {
  const [encoding, length] = [headers.get('transfer-encoding'), headers.get('content-length')];
  if (method === 'HEAD' || status === 204 || status === 304) return new Counted(0);
  if (encoding !== undefined) {
    if (encoding.toLowerCase() === 'chunked' && length === undefined) return new Chunked();
    throw networkFailure('HPE_INVALID_TRANSFER_ENCODING', 'the answer has an ambiguous length');
  }
  if (length === undefined) return new UntilEnd();
  if (/^\d{1,15}$/.test(length)) return new Counted(Number(length));
  throw networkFailure('HPE_INVALID_CONTENT_LENGTH', 'the answer has an ambiguous length');
}

const NOTHING: Buffer = Buffer.alloc(0);

const cut = (): Error =>
  networkFailure('ECONNRESET', 'the connection ended in the middle of the answer');

class Counted implements Framing {
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  next(piece: Buffer): Part {
    const chunk = piece.subarray(0, this.#left);
    this.#left -= chunk.byteLength;
    return { chunk, rest: piece.subarray(chunk.byteLength) };
  }

  end(): void {
    if (!this.done) throw cut();
  }
}

class UntilEnd implements Framing {
  done = false;

  next(chunk: Buffer): Part {
    return { chunk, rest: NOTHING };
  }

  end(): void {
    this.done = true;
  }
}

/** A line of more is an attack: sizes have 16 digits at most, extensions nobody uses. */
const MAX_LINE = 1024;
const MAX_TRAILERS = 100;

class Chunked implements Framing {
  done = false;
  /** Bytes left of the chunk; 0: a line is being read. */
  #left = 0;
  #line = '';
  /** What the next line is. */
  #expect: 'size' | 'end of chunk' | 'trailer' = 'size';
  #trailers = 0;

  next(piece: Buffer): Part {
    if (this.#left > 0) {
      const chunk = piece.subarray(0, this.#left);
      this.#left -= chunk.byteLength;
      if (this.#left === 0) this.#expect = 'end of chunk';
      return { chunk, rest: piece.subarray(chunk.byteLength) };
    }
    const end = piece.indexOf(0x0a);
    const length = end < 0 ? piece.byteLength : end + 1;
    if (this.#line.length + length > MAX_LINE) throw malformed();
    this.#line += piece.toString('latin1', 0, length);
    if (end >= 0) this.#read();
    return { chunk: NOTHING, rest: piece.subarray(length) };
  }

  end(): void {
    throw cut();
  }

  #read(): void {
    const line = this.#line.endsWith('\r\n') ? this.#line.slice(0, -2) : undefined;
    this.#line = '';
    if (line === undefined) throw malformed();
    if (this.#expect === 'size') this.#begin(line);
    else if (this.#expect === 'end of chunk') {
      if (line !== '') throw malformed();
      this.#expect = 'size';
    } else if (line === '') this.done = true;
    else if (++this.#trailers > MAX_TRAILERS) throw malformed();
  }

  #begin(line: string): void {
    const [, digits] = /^([0-9a-f]{1,13})[ \t]*(?:;.*)?$/i.exec(line) ?? [];
    if (digits === undefined) throw malformed();
    this.#left = Number.parseInt(digits, 16);
    if (this.#left === 0) this.#expect = 'trailer';
  }
}

const malformed = (): Error =>
  networkFailure('HPE_INVALID_CHUNK_SIZE', 'the answer is not framed as it says');
