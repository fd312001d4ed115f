import { MicaError } from '../errors.ts';
import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, sha256 } from '../oci/digest.ts';
import type { FetchOptions, Sink, Source, Tags } from './content.ts';
import { verified } from './verify.ts';

/** Content in memory: for tests, and for images that are small enough to be built there. */
export class MemoryStore implements Source, Sink, Tags {
  readonly #blobs = new Map<Digest, Uint8Array>();
  readonly #tags = new Map<string, Descriptor>();

  /** Adds bytes and tells what they are. */
  put(mediaType: string, bytes: Uint8Array | string): Descriptor {
    const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    const digest = sha256(content);
    this.#blobs.set(digest, content);
    return { mediaType, digest, size: content.byteLength };
  }

  async *fetch({ digest }: Descriptor, { offset = 0, signal }: FetchOptions = {}): Bytes {
    signal?.throwIfAborted();
    const content = this.#blobs.get(digest);
    if (content === undefined) throw new MicaError('NOT_FOUND', `blob ${digest} is not in memory`);
    yield content.subarray(offset);
  }

  async has({ digest }: Descriptor, { signal }: Abortable = {}): Promise<boolean> {
    signal?.throwIfAborted();
    return this.#blobs.has(digest);
  }

  async push(target: Descriptor, content: Reopenable, { signal }: Abortable = {}): Promise<void> {
    signal?.throwIfAborted();
    const chunks: Uint8Array[] = [];
    for await (const chunk of verified(content(0), target)) {
      signal?.throwIfAborted();
      chunks.push(chunk);
    }
    this.#blobs.set(target.digest, Buffer.concat(chunks));
  }

  async resolve(reference: string, { signal }: Abortable = {}): Promise<Descriptor> {
    signal?.throwIfAborted();
    const target = this.#tags.get(reference);
    if (target === undefined) throw new MicaError('NOT_FOUND', `nothing is named ${reference}`);
    return target;
  }

  async tag(reference: string, target: Descriptor, { signal }: Abortable = {}): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#blobs.has(target.digest))
      throw new MicaError('NOT_FOUND', `tag ${reference}: ${target.digest} is not in memory`);
    this.#tags.set(reference, target);
  }
}
