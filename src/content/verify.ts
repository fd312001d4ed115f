import { createHash, type Hash } from 'node:crypto';
import { MicaError } from '../errors.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import type { Source } from './content.ts';

/** Compares what arrives with what a descriptor promises. */
export class Verifier {
  readonly #target: Descriptor;
  readonly #hash: Hash;
  #size = 0;

  constructor(target: Descriptor) {
    this.#target = target;
    this.#hash = createHash(algorithmOf(target.digest));
  }

  /** @throws DATA_LOSS as soon as there is more than promised */
  update(chunk: Uint8Array): void {
    this.#size += chunk.byteLength;
    if (this.#size > this.#target.size) throw this.#wrong('more');
    this.#hash.update(chunk);
  }

  /** @throws DATA_LOSS unless all of it came, and it is the promised content */
  end(): void {
    const { digest, size } = this.#target;
    if (this.#size !== size) throw this.#wrong(`${this.#size}`);
    const actual: Digest = `${algorithmOf(digest)}:${this.#hash.digest('hex')}`;
    if (actual !== digest)
      throw new MicaError('DATA_LOSS', `${digest}: content hashes to ${actual}`);
  }

  #wrong(got: string): MicaError {
    const { digest, size } = this.#target;
    return new MicaError('DATA_LOSS', `${digest}: expected ${size} bytes, got ${got}`);
  }
}

/** Passes `content` through, and fails instead of ending unless it is exactly what `target` describes. */
export async function* verified(content: Bytes, target: Descriptor): Bytes {
  const verifier = new Verifier(target);
  for await (const chunk of content) {
    verifier.update(chunk);
    yield chunk;
  }
  verifier.end();
}

/** In bytes. The distribution specification asks clients to support manifests of at least 4 MB. */
export const DOCUMENT_LIMIT: number = 4 * 1024 * 1024;

/**
 * Reads a whole small document, verified.
 * @throws RESOURCE_EXHAUSTED when the descriptor announces more than 4 MiB, DATA_LOSS
 */
export async function fetchAll(
  from: Source,
  target: Descriptor,
  options: Abortable = {},
): Promise<Buffer> {
  if (target.size > DOCUMENT_LIMIT)
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `${target.digest}: ${target.size} bytes is too large for a document of type ${target.mediaType}`,
    );
  return Buffer.concat(await Array.fromAsync(verified(from.fetch(target, options), target)));
}
