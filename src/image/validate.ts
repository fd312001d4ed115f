import { createHash, type Hash } from 'node:crypto';
import type { Source } from '../content/content.ts';
import { type ErrorCode, isCode, MicaError } from '../errors.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';
import { decompress } from '../io/compress.ts';
import type { Layer } from '../layer/layer.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { loadImage, type LoadOptions } from './load.ts';

/** A claim of an image that is not true. */
export interface Mismatch {
  /** Of the document or layer it is about. */
  readonly digest: Digest;
  /**
   *  - `document`: manifest or config are missing, are not what their digest says, or contradict each other
   *  - `missing`, `size`, `digest`: of a layer's bytes as stored
   *  - `content`: a layer cannot be decompressed
   *  - `diffId`: of a layer's uncompressed tar
   */
  readonly claim: 'document' | 'missing' | 'size' | 'digest' | 'content' | 'diffId';
  readonly message: string;
}

/**
 * Recomputes every claim of an image: digests and sizes of its documents and layers, and the
 * diffIDs. Everything wrong is reported, not only the first; but layers are not looked at when the
 * documents that name them cannot be trusted.
 *
 * @throws what is not the image's fault: UNAVAILABLE, PERMISSION_DENIED…
 */
export async function validateImage(
  source: Source,
  target: Descriptor,
  options: LoadOptions = {},
): Promise<Mismatch[]> {
  const mismatches: Mismatch[] = [];
  const report = (digest: Digest, claim: Mismatch['claim'], message: string): void =>
    void mismatches.push({ digest, claim, message });
  try {
    const { layers } = await loadImage(source, target, options);
    for (const layer of layers) await validateLayer(layer, report, options);
  } catch (error) {
    report(target.digest, 'document', faultOf(error).message);
  }
  return mismatches;
}

type Report = (digest: Digest, claim: Mismatch['claim'], message: string) => void;

/** Errors that say that the image is wrong; others say that it could not be examined. */
const FAULTS: ReadonlySet<ErrorCode> = new Set([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
  'DATA_LOSS',
  'NOT_IMPLEMENTED',
]);

function faultOf(error: unknown): MicaError {
  if (error instanceof MicaError && FAULTS.has(error.code)) return error;
  throw error;
}

/** What wants more memory than a reader gives it is at fault, too. */
const unreadable = (error: unknown): MicaError =>
  isCode(error, 'RESOURCE_EXHAUSTED') ? error : faultOf(error);

async function validateLayer(layer: Layer, report: Report, options: Abortable): Promise<void> {
  const { descriptor, diffId } = layer;
  const { digest, size } = descriptor;
  const blob = new Blob(layer.open(options), algorithmOf(digest), size);
  const tar = createHash(algorithmOf(diffId));
  let content: unknown;
  try {
    for await (const chunk of decompress(blob)) tar.update(chunk);
  } catch (error) {
    content = error;
  }
  await blob.drain();
  if (blob.error !== undefined) return report(digest, 'missing', faultOf(blob.error).message);
  if (blob.bytes > size)
    return report(digest, 'size', `more than the ${size} bytes it should have`);
  if (blob.bytes < size) report(digest, 'size', `${blob.bytes} bytes instead of ${size}`);
  const stored = blob.digest();
  if (stored !== digest) report(digest, 'digest', `the bytes hash to ${stored}`);
  const found = `${algorithmOf(diffId)}:${tar.digest('hex')}`;
  if (content !== undefined) report(digest, 'content', unreadable(content).message);
  else if (found !== diffId) report(digest, 'diffId', `the tar hashes to ${found}, not ${diffId}`);
}

/** A layer's bytes on their way through, measured to the end even if who reads them gives up. */
class Blob implements Bytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #algorithm: 'sha256' | 'sha512';
  readonly #hash: Hash;
  readonly #limit: number;
  #done = false;
  bytes = 0;
  /** Why the bytes ended, if that was not their end. */
  error: unknown;

  constructor(chunks: Bytes, algorithm: 'sha256' | 'sha512', limit: number) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
    this.#limit = limit;
  }

  /** No `return`: what a reader leaves, {@link drain} takes. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#next() };
  }

  async drain(): Promise<void> {
    while (!this.#done) await this.#next();
  }

  digest(): string {
    return `${this.#algorithm}:${this.#hash.digest('hex')}`;
  }

  async #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const end = { done: true, value: undefined } as const;
    if (this.#done) return end;
    try {
      const next = await this.#chunks.next();
      if (!next.done) this.#measure(next.value);
      this.#done = next.done === true || this.bytes > this.#limit;
      if (!this.#done) return next;
      await this.#chunks.return?.();
    } catch (error) {
      this.#done = true;
      this.error = error;
    }
    return end;
  }

  #measure(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
  }
}
