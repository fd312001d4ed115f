import type { Socket } from 'node:net';
import { type ErrorCode, MicaError } from '../errors.ts';
import { StartError } from './failure.ts';
import {
  controlFrame,
  type Failure,
  type Frame,
  frame,
  FrameReader,
  type FromMonitor,
  STREAM,
} from './frame.ts';

/** How a process ended. */
export interface Exit {
  /** 128 + the number of the signal that ended it. */
  readonly exitCode: number;
  readonly oomKilled: boolean;
}

export interface Output {
  /** Of a terminal everything is `stdout`. */
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/**
 * A connection to a process in a container. Disposing of it leaves the process alone.
 */
export interface Attachment extends Disposable {
  /** To be read once, at the reader's pace, to its end: then `exit` is settled. */
  readonly output: AsyncIterable<Output>;
  /** Resolves when there is room for more. */
  write(data: Uint8Array): Promise<void>;
  /** No more input; the process sees the end of its own if it was started so. */
  endInput(): void;
  resize(rows: number, columns: number): void;
  /** @throws UNAVAILABLE when the monitor went away before it could tell */
  readonly exit: Promise<Exit>;
}

/** Reads frames from a monitor; the rest of what arrived stays for the next reader of the same. */
export class Incoming {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #reader = new FrameReader();
  #frames: Iterator<Frame> | undefined;

  constructor(socket: Socket) {
    this.#chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  }

  /** @returns `undefined` at the end, however it came */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const ready = this.#frames?.next();
      if (ready !== undefined && !ready.done) return ready.value;
      const chunk = await this.#chunks.next().catch(() => undefined);
      if (chunk === undefined || chunk.done) return undefined;
      this.#frames = this.#reader.push(chunk.value);
    }
  }
}

export const parseControl = ({ data }: Frame): FromMonitor =>
  JSON.parse(data.toString()) as FromMonitor;

export function attachmentOf(socket: Socket, incoming: Incoming): Attachment {
  const exit = Promise.withResolvers<Exit>();
  // Who does not ask for it does not want to hear of its failure.
  exit.promise.catch(() => undefined);
  return {
    output: outputOf(incoming, exit),
    exit: exit.promise,
    async write(data) {
      if (socket.destroyed || socket.write(frame(STREAM.stdin, data))) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.once('drain', resolve);
      socket.once('close', resolve);
      await promise;
      socket.off('drain', resolve);
      socket.off('close', resolve);
    },
    endInput() {
      if (!socket.destroyed) socket.write(frame(STREAM.stdin, Buffer.alloc(0)));
    },
    resize(rows, columns) {
      if (!socket.destroyed) socket.write(controlFrame({ type: 'resize', rows, columns }));
    },
    [Symbol.dispose]() {
      socket.destroy();
    },
  };
}

async function* outputOf(
  incoming: Incoming,
  exit: PromiseWithResolvers<Exit>,
): AsyncGenerator<Output, void> {
  for (let next = await incoming.next(); next !== undefined; next = await incoming.next()) {
    const { stream, data } = next;
    if (stream === STREAM.stdout) yield { stream: 'stdout', data };
    else if (stream === STREAM.stderr) yield { stream: 'stderr', data };
    else if (stream === STREAM.control) {
      const message = parseControl(next);
      if (message.type === 'exited') exit.resolve(message);
      else if (message.type === 'failed') exit.reject(errorOf(message.failure));
      // The last frame. The connection stays, as long as its owner has something to do.
      if (message.type === 'exited' || message.type === 'failed') return;
    }
  }
  exit.reject(
    new MicaError('UNAVAILABLE', 'the monitor of the container ended before the container did'),
  );
}

export const errorOf = ({ code, message, exitCode }: Failure): MicaError =>
  exitCode === undefined
    ? new MicaError(code as ErrorCode, message)
    : new StartError(code as ErrorCode, message, exitCode);
