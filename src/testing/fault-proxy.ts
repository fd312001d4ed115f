import { once } from 'node:events';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Bytes } from '../io/bytes.ts';
import type { Digest } from '../oci/digest.ts';

/**
 * An HTTP proxy between a client and a registry that does what networks, proxies and registries
 * do on bad days. Faults come from `faults.ts`; rules say which requests they befall.
 */
export interface FaultProxy extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, to be used in place of the upstream's. */
  readonly url: string;
  /** `127.0.0.1:<port>`, the domain of references to it. */
  readonly host: string;
  /** Every request so far, in the order of arrival. */
  readonly requests: readonly ProxiedRequest[];
  /** Bytes of this blob that clients were sent, over all requests for it. */
  sent(digest: Digest): number;
}

export interface FaultProxyOptions {
  /** Base URL of the registry; absent when rules answer everything. */
  readonly upstream?: string | undefined;
  /** All that match a request apply to it, in this order. */
  readonly rules?: readonly FaultRule[] | undefined;
}

export interface FaultRule {
  readonly method?: string | undefined;
  /** Tested on path and query. */
  readonly path?: RegExp | undefined;
  readonly when?: ((request: IncomingMessage) => boolean) | undefined;
  /** Which of the requests that match, counted from 1. Default: every one. */
  readonly nth?: number | readonly number[] | undefined;
  readonly fault: Fault;
}

/** What goes wrong. Every part is optional. */
export interface Fault {
  readonly name: string;
  /** Happens before anything else. */
  before?(context: FaultContext): Promise<void>;
  /** Answers in place of the upstream. */
  answer?(request: IncomingMessage): Answer;
  /** The request's headers, as the upstream shall see them. */
  ask?(headers: IncomingHttpHeaders): IncomingHttpHeaders;
  /** The request's body, as the upstream shall see it. Throw {@link Cut} to cut both connections. */
  upload?(body: Bytes, context: FaultContext): Bytes;
  /** The answer's head, as the client shall see it. */
  head?(head: Head, request: IncomingMessage): Head;
  /** The answer's body, as the client shall see it. Throw {@link Cut} to cut the connection. */
  body?(body: Bytes, context: FaultContext): Bytes;
}

export interface Head {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
}

export interface Answer extends Head {
  readonly body?: string | Uint8Array | undefined;
}

export interface FaultContext {
  /** Aborts when the client has left, or the proxy closes. */
  readonly signal: AbortSignal;
  /** Where in the blob the answer's body begins. */
  readonly start: number;
}

/** Thrown by a fault: the connection ends here, without a word. */
export class Cut extends Error {
  override readonly name = 'Cut';
  /** The other side is told by a reset and may lose what it has not read yet. */
  readonly reset: boolean;

  constructor(reset = false) {
    super('cut');
    this.reset = reset;
  }
}

export interface ProxiedRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  /** Names of the faults that befell it. */
  readonly faults: readonly string[];
  /** 0 while unanswered. */
  readonly status: number;
  /** Bytes of the answer's body that went to the client. */
  readonly sent: number;
}

type Log = { -readonly [Key in keyof ProxiedRequest]: ProxiedRequest[Key] };

export async function openFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const requests: Log[] = [];
  const seen = new Map<FaultRule, number>();
  const closing = new AbortController();
  const agent = new Agent({ keepAlive: true });
  const server = createServer((request, response) => {
    const faults = (options.rules ?? []).filter((rule) => applies(rule, request, seen));
    const log: Log = {
      method: request.method ?? '',
      target: request.url ?? '',
      headers: request.headers,
      faults: faults.map(({ fault }) => fault.name),
      status: 0,
      sent: 0,
    };
    requests.push(log);
    const left = new AbortController();
    response.once('close', () => left.abort());
    const signal = AbortSignal.any([closing.signal, left.signal]);
    const exchange = { request, response, log, signal, agent, upstream: options.upstream };
    void proxy(
      exchange,
      faults.map(({ fault }) => fault),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}`,
    host,
    requests,
    sent: (digest) =>
      requests
        .filter(({ method, status }) => method === 'GET' && (status === 200 || status === 206))
        .filter(({ target }) => target.includes(`/blobs/${digest}`))
        .reduce((sum, { sent }) => sum + sent, 0),
    async [Symbol.asyncDispose]() {
      closing.abort();
      server.close();
      server.closeAllConnections();
      agent.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
}

function applies(rule: FaultRule, request: IncomingMessage, seen: Map<FaultRule, number>): boolean {
  const { method, path, when, nth } = rule;
  if (method !== undefined && method !== request.method) return false;
  if (path && !path.test(request.url ?? '')) return false;
  if (when && !when(request)) return false;
  const count = (seen.get(rule) ?? 0) + 1;
  seen.set(rule, count);
  return nth === undefined || (typeof nth === 'number' ? nth === count : nth.includes(count));
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly agent: Agent;
  readonly upstream: string | undefined;
}

async function proxy(exchange: Exchange, faults: readonly Fault[]): Promise<void> {
  const { request, response, signal } = exchange;
  // Node takes it from the request when the answer is out.
  const { socket } = request;
  try {
    for (const fault of faults) await fault.before?.({ signal, start: 0 });
    const [answer] = faults.flatMap((fault) => fault.answer?.(request) ?? []);
    if (answer) request.resume();
    const { head, body } = answer
      ? {
          head: answer,
          body: Readable.from(answer.body === undefined ? [] : [Buffer.from(answer.body)]),
        }
      : await ask(exchange, faults);
    await reply(exchange, faults, head, body);
  } catch (error) {
    if (error instanceof Cut && error.reset) socket.resetAndDestroy();
    else if (error instanceof Cut || signal.aborted || response.headersSent) socket.destroy();
    else response.writeHead(502).end(`fault proxy: ${String(error)}`);
  }
}

async function ask(
  { request, signal, agent, upstream }: Exchange,
  faults: readonly Fault[],
): Promise<{ head: Head; body: Bytes }> {
  const headers = faults.reduce((now, fault) => fault.ask?.(now) ?? now, request.headers);
  const outgoing = httpRequest(new URL(request.url ?? '', upstream), {
    method: request.method,
    // The client's own Host header goes along: absolute locations then lead through the proxy again.
    headers,
    agent,
    signal,
  });
  const context = { signal, start: 0 };
  const body = faults.reduce<Bytes>((now, fault) => fault.upload?.(now, context) ?? now, request);
  const uploaded = pipeline(body, outgoing);
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  // An upstream may answer before it has read everything, and then need not read the rest.
  uploaded.catch(() => {});
  answered.catch(() => {});
  const [incoming] = await Promise.race([answered, uploaded.then(() => answered)]);
  return {
    head: { status: incoming.statusCode ?? 502, headers: incoming.headers },
    body: incoming,
  };
}

async function reply(
  { request, response, log, signal }: Exchange,
  faults: readonly Fault[],
  original: Head,
  body: Bytes,
): Promise<void> {
  const start = Number(/^bytes (\d+)-/.exec(String(original.headers['content-range']))?.[1] ?? 0);
  const { status, headers } = faults.reduce(
    (now, fault) => fault.head?.(now, request) ?? now,
    original,
  );
  log.status = status;
  const { connection: _, 'keep-alive': __, ...endToEnd } = headers;
  response.writeHead(status, endToEnd);
  const context = { signal, start };
  const sent = faults.reduce((now, fault) => fault.body?.(now, context) ?? now, body);
  let size = 0;
  for await (const chunk of sent) {
    await write(response, chunk);
    size += chunk.byteLength;
    log.sent = size;
  }
  const promised = Number(headers['content-length'] ?? size);
  if (promised !== size && request.method !== 'HEAD') throw new Cut();
  response.end();
}

/** Resolves when the kernel has the bytes: a cut that follows loses none of them. */
async function write(response: ServerResponse, chunk: Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  response.write(chunk, (error) => (error ? reject(error) : resolve()));
  await promise;
}
