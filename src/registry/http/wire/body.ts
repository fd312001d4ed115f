import { Answer, DONE, type Next } from '../answer.ts';
import type { HttpRequest } from '../exchange.ts';
import { networkError } from '../failure.ts';
import type { Connection } from './connection.ts';
import { type Framing, framingOf } from './framing.ts';
import type { Head } from './head.ts';

export interface WireBodyOptions {
  readonly connection: Connection;
  readonly head: Head;
  /** What came with the head. */
  readonly rest: Buffer;
  readonly request: HttpRequest;
  /** Called once; `true`: the connection may serve another request. */
  readonly finish: (reusable: boolean) => void;
}

/**
 * The body of an answer as it lies in the connection's memory: each chunk is lent until the next is
 * asked for, or copied for who did not ask to be lent it.
 */
export class WireBody extends Answer {
  readonly #options: WireBodyOptions;
  readonly #framing: Framing;
  #rest: Buffer;
  #over = false;

  constructor(options: WireBodyOptions) {
    super();
    this.#options = options;
    this.#framing = framingOf(options.head, options.request.method);
    this.#rest = options.rest;
    // Nobody need read what has no bytes.
    if (this.#framing.done) this.#end();
  }

  override async next(): Promise<Next> {
    const { request } = this.#options;
    if (this.#over) return DONE;
    try {
      const value = await this.#chunk();
      if (value) return { done: false, value: request.lend ? value : Buffer.from(value) };
      this.#end();
      return DONE;
    } catch (error) {
      const { method, url, signal } = request;
      this.#finish(false);
      throw signal?.aborted ? signal.reason : networkError(error, method, url);
    }
  }

  override async return(): Promise<Next> {
    this.#finish(false);
    return DONE;
  }

  async #chunk(): Promise<Uint8Array | undefined> {
    const { connection } = this.#options;
    while (!this.#framing.done) {
      if (this.#rest.byteLength === 0) {
        const piece = await connection.take();
        if (!piece) {
          this.#framing.end();
          return undefined;
        }
        this.#rest = piece;
      }
      const { chunk, rest } = this.#framing.next(this.#rest);
      this.#rest = rest;
      if (chunk.byteLength > 0) return chunk;
    }
    return undefined;
  }

  #end(): void {
    this.#finish(this.#options.head.persistent && this.#rest.byteLength === 0);
  }

  #finish(reusable: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.finish(reusable);
  }
}
