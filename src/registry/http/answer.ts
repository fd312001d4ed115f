import { MicaError } from '../../errors.ts';

/** Reading this much of an answer nobody wants is cheaper than a new connection. */
const DRAIN = 64 * 1024;

export type Next = IteratorResult<Uint8Array, undefined>;

export const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** The bytes of one answer, for one reader. Whoever does not read to the end calls {@link discard} or leaves the loop. */
export abstract class Answer implements AsyncIterableIterator<Uint8Array, undefined> {
  abstract next(): Promise<Next>;
  /** Gives the connection up, unless everything was read. Never fails. */
  abstract return(): Promise<Next>;

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Lets the connection serve other requests if little is left, else gives it up. Never fails. */
  async discard(): Promise<void> {
    let length = 0;
    try {
      for await (const chunk of this) if ((length += chunk.byteLength) > DRAIN) break;
    } catch {
      // Whatever happens to an answer that nobody wants has no consequence.
    }
  }

  /** Everything, if it is at most `limit` bytes. @throws DATA_LOSS when there is more */
  async bytes(limit: number, what: string): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this) {
      length += chunk.byteLength;
      if (length > limit)
        throw new MicaError(
          'DATA_LOSS',
          `${what}: the answer is longer than the ${limit} bytes allowed`,
        );
      // Chunks may be lent.
      chunks.push(Buffer.from(chunk));
    }
    return Buffer.concat(chunks, length);
  }
}
