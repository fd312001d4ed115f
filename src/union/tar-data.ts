import { open } from 'node:fs/promises';
import { MicaError } from '../errors.ts';
import type { Index } from '../erofs/index-file.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';
import { CHUNK, type LayerData } from './content.ts';
import { readError } from './read-error.ts';

/** Uncompressed tars by position. */
export interface TarDevice {
  /** Begins a series of reads at positions that never go back. */
  open(options?: Abortable): TarReading;
}

export interface TarReading extends AsyncDisposable {
  /** Exactly `length` bytes. @throws DATA_LOSS when there are fewer */
  read(position: number, length: number): Bytes;
}

/**
 * Files of a layer whose tar is at hand. Holes read as zeros.
 * @param own the layer's tar
 * @param other the tar of another layer, by the hex digits of its diffID: a layer that hard-links
 *   files of its parents has their content there
 */
export function tarData(
  own: TarDevice,
  other: (diffIdHex: string) => TarDevice | undefined = () => undefined,
): LayerData {
  const deviceOf = (index: Index, device: number): TarDevice => {
    if (device === 0) return indexDevice(index);
    if (device === 1) return own;
    const tag = index.devices[device - 1]?.tag ?? '';
    const found = other(tag);
    if (found) return found;
    throw new MicaError('DATA_LOSS', `layer index: tar ${tag} of device ${device} is not here`);
  };
  return {
    async *read(file, start, end, options) {
      await using readings = new AsyncDisposableStack();
      const byDevice = new Map<number, TarReading>();
      const reading = (device: number): TarReading => {
        const known = byDevice.get(device);
        if (known) return known;
        const opened = readings.use(deviceOf(file.index, device).open(options));
        byDevice.set(device, opened);
        return opened;
      };
      let at = start;
      for (const { logical, device, physical, length } of file.index.extents(file.nid)) {
        if (logical >= end) break;
        const stop = Math.min(logical + length, end);
        if (stop <= at) continue;
        yield* zeros(logical - at, options);
        at = Math.max(at, logical);
        yield* reading(device).read(physical + at - logical, stop - at);
        at = stop;
      }
      yield* zeros(end - at, options);
    },
  };
}

/** A tar that is kept as a file. */
export function tarFile(path: string): TarDevice {
  return {
    open(options) {
      const opened = open(path, 'r').catch((error: unknown) => {
        throw readError(path, error);
      });
      opened.catch(() => {}); // thrown by the first read
      return {
        async *read(position, length) {
          const handle = await opened;
          for (let left = length; left > 0;) {
            options?.signal?.throwIfAborted();
            const buffer = Buffer.allocUnsafeSlow(Math.min(left, CHUNK));
            const { bytesRead } = await handle.read(
              buffer,
              0,
              buffer.length,
              position + length - left,
            );
            if (bytesRead === 0) throw truncated(path, position + length);
            yield buffer.subarray(0, bytesRead);
            left -= bytesRead;
          }
        },
        async [Symbol.asyncDispose]() {
          await (await opened.catch(() => undefined))?.close();
        },
      };
    },
  };
}

/**
 * A tar that can only be streamed, such as a compressed blob: read from its beginning up to what
 * is wanted, each time.
 * @param name for messages
 */
export function tarStream(name: string, stream: (options?: Abortable) => Bytes): TarDevice {
  return {
    open(options) {
      const source = new StreamReading(name, stream(options)[Symbol.asyncIterator]());
      return source;
    },
  };
}

class StreamReading implements TarReading {
  readonly #name: string;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  /** Position of the first byte of `#chunk`. */
  #position = 0;

  constructor(name: string, chunks: AsyncIterator<Uint8Array>) {
    this.#name = name;
    this.#chunks = chunks;
  }

  async *read(position: number, length: number): Bytes {
    if (position < this.#position)
      throw new MicaError('DATA_LOSS', `layer index: content of ${this.#name} is out of order`);
    const end = position + length;
    for (let at = position; at < end;) {
      if (this.#position + this.#chunk.length <= at) await this.#next(end);
      else {
        const piece = this.#chunk.subarray(at - this.#position, end - this.#position);
        at += piece.length;
        yield piece;
      }
    }
  }

  async #next(end: number): Promise<void> {
    this.#position += this.#chunk.length;
    const { value, done } = await this.#chunks.next();
    if (done) throw truncated(this.#name, end);
    this.#chunk = value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }
}

/** Small content that lies in the index itself. */
const indexDevice = (index: Index): TarDevice => ({
  open: () => ({
    async *read(position, length) {
      for (let left = length; left > 0; left -= Math.min(left, CHUNK)) {
        const buffer = Buffer.allocUnsafeSlow(Math.min(left, CHUNK));
        index.read(position + length - left, buffer);
        yield buffer;
      }
    },
    async [Symbol.asyncDispose]() {},
  }),
});

async function* zeros(length: number, options?: Abortable): Bytes {
  for (let left = length; left > 0; left -= CHUNK) {
    options?.signal?.throwIfAborted();
    yield Buffer.alloc(Math.min(left, CHUNK));
  }
}

const truncated = (name: string, end: number): MicaError =>
  new MicaError('DATA_LOSS', `read ${name}: it ends before byte ${end}; run mica check`);
