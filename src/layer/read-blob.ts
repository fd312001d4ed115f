import { createHash } from 'node:crypto';
import { MicaError } from '../errors.ts';
import { SNIFF_LENGTH, sniffCompression } from '../io/compression.ts';
import { type Inflate, openInflate } from '../io/inflate.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { errnoOf } from '../sys/errno.ts';
import type { Available } from './available.ts';
import { follow, Stopped } from './follow.ts';

export interface Blob {
  /** The file with the bytes as stored; it may still be growing. */
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
  readonly mediaType: string;
}

export interface ReadBlobOptions {
  readonly available: Available;
  /** Called now and then with how many bytes of the blob are done. */
  readonly onProgress?: (bytes: number) => void;
}

/** Bytes between two reports of progress. */
const REPORT = 2 ** 20;

/**
 * Reads a blob once, as it arrives: its digest is verified, its content inflated into `sink`, which
 * must be done with a chunk when it returns.
 *
 * Content that cannot be read is only complained about when the digest is right: the bytes are then
 * the layer's, not the transport's.
 * @throws DATA_LOSS for other bytes than the digest stands for; what `sink` throws
 */
export function readBlob(
  { path, size, digest, mediaType }: Blob,
  sink: (chunk: Uint8Array) => void,
  { available, onProgress }: ReadBlobOptions,
): void {
  const hash = createHash(algorithmOf(digest));
  let [done, reported] = [0, 0];
  using content = new Content(mediaType, (inflated) => {
    // A few bytes may inflate to gigabytes: do not wait for the next ones to stop.
    if (available.failed) throw new Stopped();
    sink(inflated);
  });
  for (const chunk of follow(path, available, size)) {
    hash.update(chunk);
    content.write(chunk);
    done += chunk.length;
    if (done - reported < REPORT) continue;
    reported = done;
    onProgress?.(done);
  }
  content.end();
  const found: Digest = `${algorithmOf(digest)}:${hash.digest('hex')}`;
  if (found !== digest)
    throw new MicaError('DATA_LOSS', `${digest}: the ${size} bytes that came have ${found}`);
  if (content.error !== undefined) throw content.error;
  onProgress?.(done);
}

/** The compressed stream, kept from failing before all of it was seen. */
class Content implements Disposable {
  readonly #mediaType: string;
  readonly #sink: (chunk: Uint8Array) => void;
  #inflate: Inflate | undefined;
  error: MicaError | undefined;

  constructor(mediaType: string, sink: (chunk: Uint8Array) => void) {
    this.#mediaType = mediaType;
    this.#sink = sink;
  }

  write(chunk: Uint8Array): void {
    this.#try(() => {
      this.#inflate ??= openInflate(
        sniffCompression(chunk.subarray(0, SNIFF_LENGTH), this.#mediaType),
        this.#sink,
      );
      this.#inflate.write(chunk);
    });
  }

  end(): void {
    this.#try(() => this.#inflate?.end());
  }

  [Symbol.dispose](): void {
    this.#inflate?.[Symbol.dispose]();
  }

  #try(step: () => void): void {
    if (this.error !== undefined) return;
    try {
      step();
    } catch (error) {
      // What the system refuses (a full disk) is no matter of the content.
      if (!(error instanceof MicaError) || errnoOf(error) !== undefined) throw error;
      this.error = error;
    }
  }
}
