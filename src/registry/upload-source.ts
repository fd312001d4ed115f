import type { Bytes, Reopenable } from '../io/bytes.ts';

/**
 * What an upload reads. Its failures are told from those of the registry that takes the bytes: where
 * they come from another registry, that was asked as often as makes sense, and is not asked again.
 */
export class UploadSource implements AsyncDisposable {
  readonly #content: Reopenable;
  #begun: Begun | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(content: Reopenable) {
    this.#content = content;
  }

  /** Waits for the first bytes: they may have to be fetched or made, for longer than a registry waits. */
  async begin(): Promise<void> {
    const chunks = this.#open(0);
    this.#begun = { first: await chunks.next(), chunks };
  }

  /** @throws what the last reading failed with */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async *read(offset: number, length: number): Bytes {
    let rest = length;
    for await (const chunk of this.#from(offset)) {
      const wanted = chunk.subarray(0, rest);
      rest -= wanted.byteLength;
      if (wanted.byteLength > 0) yield wanted;
      if (rest === 0) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#begun?.chunks.return(undefined);
  }

  async *#from(offset: number): Bytes {
    const begun = offset === 0 ? this.#begun : undefined;
    if (begun !== undefined) this.#begun = undefined;
    const chunks = begun?.chunks ?? this.#open(offset);
    try {
      if (begun?.first.done === false) yield begun.first.value;
      yield* chunks;
    } finally {
      await chunks.return(undefined);
    }
  }

  async *#open(offset: number): AsyncGenerator<Uint8Array, void> {
    this.#failure = undefined;
    try {
      yield* this.#content(offset);
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}

interface Begun {
  readonly first: IteratorResult<Uint8Array, void>;
  readonly chunks: AsyncGenerator<Uint8Array, void>;
}
