import { MicaError } from '../errors.ts';

/**
 * What a monitor and its clients say to each other over a Unix socket, in either direction: frames
 * of 8 bytes — the stream, three zeros, the length in big-endian order, as Docker has it — and data.
 */
export const STREAM = {
  /** To the monitor. A frame without data: no more will come. */
  stdin: 0,
  /** From the monitor. */
  stdout: 1,
  stderr: 2,
  /** A JSON document, in either direction. */
  control: 3,
} as const;

/** A container could not be started, in a form that survives a socket. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exitCode?: number | undefined;
}

/** What is not output. */
export type FromMonitor =
  | { readonly type: 'started'; readonly pid: number }
  | { readonly type: 'failed'; readonly failure: Failure }
  /** The last frame of a connection. */
  | { readonly type: 'exited'; readonly exitCode: number; readonly oomKilled: boolean }
  | { readonly type: 'done' };

export type ToMonitor<Order = unknown> =
  /** Once, from whoever started the monitor. */
  | { readonly type: 'order'; readonly order: Order }
  /** First frame of every other client: what it wants beside the end. */
  | { readonly type: 'attach'; readonly output: boolean }
  | { readonly type: 'resize'; readonly rows: number; readonly columns: number };

export interface Frame {
  readonly stream: number;
  readonly data: Buffer;
}

const HEADER = 8;
/** Longer ones are no frames of ours. Orders hold a process' arguments and environment. */
const MAX_LENGTH = 16 * 1024 * 1024;

export function frame(stream: number, data: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER + data.length);
  bytes.writeUInt32BE(stream * 0x1000000, 0);
  bytes.writeUInt32BE(data.length, 4);
  bytes.set(data, HEADER);
  return bytes;
}

export const controlFrame = (document: FromMonitor | ToMonitor): Buffer =>
  frame(STREAM.control, Buffer.from(JSON.stringify(document)));

/** Cuts what arrives on a socket into frames, wherever it was torn. */
export class FrameReader {
  #parts: Buffer[] = [];
  #length = 0;

  /** @throws INVALID_ARGUMENT when the other side does not speak this */
  *push(chunk: Buffer): Generator<Frame> {
    this.#parts.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= HEADER) {
      const head = this.#joined(HEADER);
      const length = head.readUInt32BE(4);
      if (length > MAX_LENGTH || (head.readUInt32BE(0) & 0xffffff) !== 0)
        throw new MicaError('INVALID_ARGUMENT', 'what came over the socket is no frame');
      if (this.#length < HEADER + length) return;
      const all = this.#joined(HEADER + length);
      this.#parts = all.length > HEADER + length ? [all.subarray(HEADER + length)] : [];
      this.#length -= HEADER + length;
      yield { stream: all[0]!, data: all.subarray(HEADER, HEADER + length) };
    }
  }

  /** Everything so far as one buffer, if its first part is too short. */
  #joined(length: number): Buffer {
    if (this.#parts[0]!.length < length) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0]!;
  }
}
