import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { MicaError } from '../errors.ts';
import { SNIFF_LENGTH, sniffCompression } from '../io/compression.ts';
import { InflateStream } from '../io/inflate-stream.ts';
import type { Piece, Slabs } from '../io/slabs.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { errnoOf } from '../sys/errno.ts';
import type { Available } from './available.ts';
import { follow, Stopped } from './follow.ts';
import { type UnpackMemory, unpackMemory } from './unpack-memory.ts';

export interface Blob {
  /** The file with the bytes as stored; it may still be growing. */
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
  readonly mediaType: string;
}

export interface ReadBlobOptions {
  readonly available: Available;
  /** Default: its own. */
  readonly memory?: UnpackMemory;
  /** Called now and then with how many bytes of the blob are done. */
  readonly onProgress?: (bytes: number) => void;
}

/** Bytes between two reports of progress. */
const REPORT = 2 ** 20;

/**
 * Reads a blob once, as it arrives: its digest is verified, its content inflated into `sink`. Most of
 * the time this blocks the thread, but not for long at once.
 *
 * Content that cannot be read is only complained about when the digest is right: the bytes are then
 * the layer's, not the transport's.
 * @throws DATA_LOSS for other bytes than the digest stands for; what `sink` throws
 */
export async function readBlob(
  { path, size, digest, mediaType }: Blob,
  sink: (piece: Piece) => void,
  { available, memory = unpackMemory(), onProgress }: ReadBlobOptions,
): Promise<void> {
  const hash = createHash(algorithmOf(digest));
  let [done, reported] = [0, 0];
  const take = (piece: Piece): void => {
    // A few bytes may inflate to gigabytes: do not wait for the next ones to stop.
    if (available.failed) throw new Stopped();
    sink(piece);
  };
  await using content = new Content(mediaType, take, memory.slabs);
  const { chunk: buffer } = memory;
  const beforeWait = (): void => content.flush();
  for await (const chunk of follow(path, { available, size, buffer, beforeWait })) {
    const writing = content.write(chunk);
    hash.update(chunk);
    await writing;
    done += chunk.length;
    if (done - reported < REPORT) continue;
    reported = done;
    onProgress?.(done);
    // Where nothing is done by other threads, this is when smaller jobs get their turn.
    await setImmediate();
  }
  content.end();
  const found: Digest = `${algorithmOf(digest)}:${hash.digest('hex')}`;
  if (found !== digest)
    throw new MicaError('DATA_LOSS', `${digest}: the ${size} bytes that came have ${found}`);
  if (content.error !== undefined) throw content.error;
  onProgress?.(done);
}

/** The compressed stream, kept from failing before all of it was seen. */
class Content implements AsyncDisposable {
  readonly #mediaType: string;
  readonly #sink: (piece: Piece) => void;
  readonly #slabs: Slabs;
  #inflate: InflateStream | undefined;
  error: MicaError | undefined;

  constructor(mediaType: string, sink: (piece: Piece) => void, slabs: Slabs) {
    this.#mediaType = mediaType;
    this.#sink = sink;
    this.#slabs = slabs;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.error !== undefined) return;
    try {
      this.#inflate ??= new InflateStream(
        sniffCompression(chunk.subarray(0, SNIFF_LENGTH), this.#mediaType),
        this.#sink,
        { slabs: this.#slabs },
      );
      await this.#inflate.write(chunk);
    } catch (error) {
      this.#keep(error);
    }
  }

  flush(): void {
    this.#try(() => this.#inflate?.flush());
  }

  end(): void {
    this.#try(() => this.#inflate?.end());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inflate?.[Symbol.asyncDispose]();
  }

  #try(step: () => void): void {
    if (this.error !== undefined) return;
    try {
      step();
    } catch (error) {
      this.#keep(error);
    }
  }

  /** What the system refuses (a full disk) is no matter of the content. */
  #keep(error: unknown): void {
    if (!(error instanceof MicaError) || errnoOf(error) !== undefined) throw error;
    this.error = error;
  }
}
