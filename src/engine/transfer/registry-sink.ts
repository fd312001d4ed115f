import type { Sink } from '../../content/content.ts';
import type { Abortable, Reopenable } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { isDocument } from '../../oci/media-type.ts';
import { isCode, MicaError } from '../../errors.ts';
import type { Repository } from '../../registry/registry.ts';

export interface RegistrySinkOptions {
  /** What gets {@link tag}. */
  readonly root: Descriptor;
  /** `undefined`: none, the root is known by its digest. */
  readonly tag: string | undefined;
  /** Other repositories of the registry that may have a blob. */
  readonly siblings: (blob: Digest) => readonly string[];
  readonly onMount?: ((target: Descriptor, from: string) => void) | undefined;
}

/** A repository as the place where one image goes: it saves the bytes that the registry has elsewhere, and requests. */
export class RegistrySink implements Sink {
  readonly #repository: Repository;
  readonly #options: RegistrySinkOptions;

  constructor(repository: Repository, options: RegistrySinkOptions) {
    this.#repository = repository;
    this.#options = options;
  }

  /** Of the root, whether its tag stands for it. */
  async has(target: Descriptor, options?: Abortable): Promise<boolean> {
    const { root, tag } = this.#options;
    if (target.digest !== root.digest || tag === undefined)
      return this.#repository.has(target, options);
    try {
      return (await this.#repository.resolve(tag, options)).digest === root.digest;
    } catch (error) {
      if (isCode(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }

  async push(target: Descriptor, content: Reopenable, options: Abortable = {}): Promise<void> {
    const { root, tag, siblings, onMount } = this.#options;
    if (isDocument(target.mediaType)) {
      const as = target.digest === root.digest ? tag : undefined;
      return this.#repository.push(target, content, { ...options, as });
    }
    for (const from of siblings(target.digest))
      if (await this.#mount(target, from, options)) return onMount?.(target, from);
    await this.#repository.push(target, content, { ...options, isAbsent: true });
  }

  /** A registry that refuses, for whatever reason, gets the bytes; if that fails, too, we hear why. */
  async #mount(target: Descriptor, from: string, options: Abortable): Promise<boolean> {
    try {
      return await this.#repository.mount(target, from, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof MicaError) return false;
      throw error;
    }
  }
}
