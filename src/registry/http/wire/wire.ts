import type { ConnectionOptions } from 'node:tls';
import { Slots } from '../../../io/slots.ts';
import type { HttpRequest, HttpResponse } from '../exchange.ts';
import { networkError, networkFailure } from '../failure.ts';
import { Connection, type ConnectionTimeouts } from './connection.ts';
import { WireBody } from './body.ts';
import { type Head, MAX_HEAD, parseHead } from './head.ts';

export interface WireOptions {
  readonly origin: URL;
  readonly tls: ConnectionOptions;
  readonly timeouts: ConnectionTimeouts;
  readonly connections: number;
}

/**
 * GET and HEAD over sockets whose read buffers are ours and used again: a quarter of the processor
 * time that Node's streams take for a download, whatever HTTP library is on top of them.
 */
export class Wire implements Disposable {
  readonly #options: WireOptions;
  readonly #slots: Slots;
  readonly #idle: Connection[] = [];
  readonly #busy = new Set<Connection>();

  constructor(options: WireOptions) {
    this.#options = options;
    this.#slots = new Slots(options.connections);
  }

  async get(request: HttpRequest): Promise<HttpResponse> {
    const over = Promise.withResolvers<void>();
    await new Promise<void>((resolve, reject) => {
      const granted = async (): Promise<void> => {
        resolve();
        await over.promise;
      };
      this.#slots.use(granted, request.signal).catch(reject);
    });
    try {
      return await this.#get(request, over.resolve);
    } catch (error) {
      over.resolve();
      request.signal?.throwIfAborted();
      throw networkError(error, request.method, request.url);
    }
  }

  async #get(request: HttpRequest, over: () => void): Promise<HttpResponse> {
    for (;;) {
      const kept = this.#idle.pop();
      const { origin, tls, timeouts } = this.#options;
      const connection = kept ?? (await Connection.open(origin, tls, timeouts, request.signal));
      this.#busy.add(connection);
      kept?.park(false);
      const { signal } = request;
      const abort = (): void => connection.destroy(signal?.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      const finish = (reusable: boolean): void => {
        signal?.removeEventListener('abort', abort);
        this.#finish(connection, reusable);
        over();
      };
      try {
        signal?.throwIfAborted();
        connection.write(formatRequest(request));
        const { head, rest } = await readHead(connection);
        const body = new WireBody({ connection, head, rest, request, finish });
        return {
          status: head.status,
          url: request.url,
          body,
          header: (name) => head.headers.get(name),
        };
      } catch (error) {
        signal?.removeEventListener('abort', abort);
        this.#busy.delete(connection);
        connection.destroy(error as Error);
        // A connection that was kept may have been closed by the other side just now.
        if (!kept || signal?.aborted) throw error;
      }
    }
  }

  #finish(connection: Connection, reusable: boolean): void {
    this.#busy.delete(connection);
    if (!reusable || !connection.reusable) {
      connection.destroy(new Error('the connection is not wanted any more'));
      return;
    }
    connection.park(true);
    this.#idle.push(connection);
  }

  [Symbol.dispose](): void {
    const closed = networkFailure('UND_ERR_DESTROYED', 'the registry client was closed');
    for (const connection of [...this.#idle.splice(0), ...this.#busy]) connection.destroy(closed);
  }
}

function formatRequest({ method, url, headers }: HttpRequest): string {
  const lines = Object.entries({ host: url.host, connection: 'keep-alive', ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const text = [`${method} ${url.pathname}${url.search} HTTP/1.1`, ...lines];
  if (text.some((line) => /[^\t\x20-\x7e\x80-\xff]/.test(line)))
    throw networkFailure('UND_ERR_INVALID_ARG', 'a header has a character that is not allowed');
  return `${text.join('\r\n')}\r\n\r\n`;
}

/** Informational answers before one answer; honest servers send one or two. */
const MAX_INFORMATIONAL = 100;

/** The head of the answer, and what came with it. */
async function readHead(connection: Connection): Promise<{ head: Head; rest: Buffer }> {
  let [text, informational] = ['', 0];
  let piece: Buffer = Buffer.alloc(0);
  for (;;) {
    const before = text.length;
    text += piece.toString('latin1', 0, MAX_HEAD);
    const end = text.indexOf('\r\n\r\n', Math.max(0, before - 3));
    if (end >= 0) {
      const head = parseHead(text.slice(0, end));
      piece = piece.subarray(end + 4 - before);
      if (head.status >= 200) return { head, rest: piece };
      if (++informational > MAX_INFORMATIONAL)
        throw networkFailure('UND_ERR_HEADERS_OVERFLOW', 'the answer itself does not come');
      text = '';
      continue;
    }
    if (text.length >= MAX_HEAD)
      throw networkFailure('UND_ERR_HEADERS_OVERFLOW', 'the head of the answer is too long');
    const next = await connection.take();
    if (!next) throw networkFailure('ECONNRESET', 'the connection ended before the answer');
    piece = next;
  }
}
