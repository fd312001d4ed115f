import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RegistryBackend } from './backend/backend.ts';
import {
  type Exchange,
  expectsContinue,
  type Refusal,
  refusalOf,
  sendRefusal,
} from './exchange.ts';
import { checkBrowser, checkToken } from './guard.ts';
import { handle } from './handle.ts';
import { routeOf, withNamespace } from './router.ts';
import type { Uploads } from './uploads.ts';

export interface RequestOptions {
  readonly backend: RegistryBackend;
  /** Allows pushes and deletions to whoever has the token. Absent: the registry is read-only. */
  readonly writable?: { readonly token: string } | undefined;
  /** Names besides `localhost` and addresses that the registry answers to. */
  readonly hosts?: readonly string[] | undefined;
  /** One call per answered (or abandoned) request. Must not throw. */
  readonly onRequest?: ((event: RequestEvent) => void) | undefined;
}

export interface RequestEvent {
  readonly method: string;
  /** As it was requested, query included. */
  readonly target: string;
  readonly status: number;
  /** Sent over the connection while this request was served. */
  readonly bytes: number;
  readonly milliseconds: number;
  /** What failed in the server itself, never shown to the client. */
  readonly error?: unknown;
}

/** Answers one request, whatever happens, and reports it. Never rejects. */
export async function answerRequest(
  request: IncomingMessage,
  response: ServerResponse,
  options: RequestOptions,
  uploads: Uploads | undefined,
): Promise<void> {
  const [path, query] = split(request.url ?? '');
  const exchange: Exchange = { request, response, query: new URLSearchParams(query) };
  let failure: unknown;
  if (options.onRequest) report(exchange, options.onRequest, () => failure);
  try {
    await answer(exchange, path, options, uploads);
  } catch (error) {
    const refusal = refusalOf(error);
    // A client that left took its connection with it: nothing went wrong here.
    if (refusal.status >= 500 && !request.socket.destroyed) failure = error;
    refuse(exchange, refusal);
  }
}

async function answer(
  exchange: Exchange,
  path: string,
  options: RequestOptions,
  uploads: Uploads | undefined,
): Promise<void> {
  const { request, response } = exchange;
  response.setHeader('Docker-Distribution-Api-Version', 'registry/2.0');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  checkBrowser(request, options.hosts ?? []);
  checkToken(request, path === '/v2/' || path === '/v2', options.writable?.token);
  const route = withNamespace(routeOf(path), exchange.query.get('ns'));
  await handle(exchange, route, options.backend, uploads);
}

function refuse(exchange: Exchange, refusal: Refusal): void {
  const { request, response } = exchange;
  if (response.headersSent) {
    // A body that cannot be completed must not look complete.
    response.destroy();
    return;
  }
  // Whether a client that was not told to continue sends its body after all is anybody's guess.
  if (expectsContinue(request)) response.setHeader('Connection', 'close');
  sendRefusal(exchange, refusal);
  // What is left of the body is read and thrown away: a connection that is closed while the client
  // still sends is reset, and many clients then report the reset and not the answer.
  request.resume();
}

/** Reports a request once its connection is done with it. */
function report(
  { request, response }: Exchange,
  onRequest: (event: RequestEvent) => void,
  errorOf: () => unknown,
): void {
  const started = performance.now();
  const { socket, method = '', url: target = '' } = request;
  const before = socket.bytesWritten;
  response.once('close', () => {
    const error = errorOf();
    onRequest({
      method,
      target,
      status: response.statusCode,
      bytes: socket.bytesWritten - before,
      milliseconds: performance.now() - started,
      ...(error !== undefined && { error }),
    });
  });
}

function split(target: string): [path: string, query: string] {
  const at = target.indexOf('?');
  return at === -1 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
}
