import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** What {@link Output} needs of a stream; `process.stdout` is one. */
export type OutputStream = Writable & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  readonly hasColors?: () => boolean;
};

/** Whoever read our output has stopped: nothing is left to say, and nobody to say it to. */
export class BrokenPipe extends Error {
  override readonly name: string = 'BrokenPipe';
}

/** Writes with back pressure, and learns when nobody listens any more. */
export class Output {
  readonly stream: OutputStream;
  #broken: Error | undefined;

  /** @param onBroken called once, when the reader has gone */
  constructor(stream: OutputStream, onBroken: (reason: Error) => void = () => {}) {
    this.stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#broken ??=
        error.code === 'EPIPE' ? new BrokenPipe('the reader has gone', { cause: error }) : error;
      onBroken(this.#broken);
    });
  }

  get isTTY(): boolean {
    return this.stream.isTTY === true;
  }

  /** Width of the terminal, if it is one. */
  get columns(): number | undefined {
    return this.isTTY ? this.stream.columns : undefined;
  }

  /** Whether to use colours: a terminal that can, and no `NO_COLOR`. */
  get colours(): boolean {
    return this.isTTY && this.stream.hasColors?.() === true;
  }

  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.#broken) throw this.#broken;
    if (!this.stream.write(chunk)) await once(this.stream, 'drain');
    if (this.#broken) throw this.#broken;
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** Resolves when everything has been handed over. */
  async flush(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#broken || this.stream.destroyed) resolve();
      else this.stream.write('', () => resolve());
    });
    if (this.#broken) throw this.#broken;
  }
}
