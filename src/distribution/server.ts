import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import { MicaError } from '../errors.ts';
import { answerRequest, type RequestOptions } from './answer.ts';
import { inTurn } from './in-turn.ts';
import { type UploadLimits, Uploads } from './uploads.ts';

export interface RegistryServerOptions extends RequestOptions, UploadLimits {
  /** Address to listen on. Default: `127.0.0.1`, this machine only. */
  readonly address?: string | undefined;
  /** Default: 0, any free port. */
  readonly port?: number | undefined;
  /** Default 256. */
  readonly maxConnections?: number | undefined;
  /** A connection on which nothing moves is cut, in milliseconds. Default one minute. */
  readonly idleTimeout?: number | undefined;
}

export interface RegistryServer extends AsyncDisposable {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
  readonly address: string;
  readonly port: number;
}

/** Time for a request's headers, in milliseconds: a client that trickles them is cut off. */
const HEADERS_TIMEOUT = 10_000;
/** Requests in flight may end for so long when the server closes, in milliseconds. */
const GRACE = 5_000;

/**
 * Serves a backend by the OCI distribution specification. Closing it (`await using`) stops
 * listening, lets requests in flight end, then cuts them; the backend stays open.
 * @throws INVALID_ARGUMENT on an empty token or a backend that cannot write; UNAVAILABLE when the address is taken
 */
export async function serveRegistry(options: RegistryServerOptions): Promise<RegistryServer> {
  const { backend, writable, idleTimeout = 60_000, maxConnections = 256 } = options;
  if (writable && writable.token.length < 8)
    throw new MicaError('INVALID_ARGUMENT', 'a writable registry needs a token of 8 or more bytes');
  if (writable && !backend.writer)
    throw new MicaError('INVALID_ARGUMENT', 'this store cannot be pushed to');

  const uploads = writable && backend.writer && new Uploads(backend.writer.uploads, options);
  const server = createServer({
    headersTimeout: Math.min(HEADERS_TIMEOUT, idleTimeout),
    // Bodies are as large as blobs; idleTimeout bounds how long they stall.
    requestTimeout: 0,
    connectionsCheckingInterval: 1_000,
    keepAliveTimeout: 15_000,
  });
  server.maxConnections = maxConnections;
  server.timeout = idleTimeout;
  const answer = inTurn((request, response) => answerRequest(request, response, options, uploads));
  server.on('request', answer);
  // Judged before the client sends its body; whoever reads a body says `continue`.
  server.on('checkContinue', answer);
  server.on('checkExpectation', answer);

  const { address, port } = await listen(server, options);
  const host = isIPv6(address) ? `[${address}]` : address;
  return {
    url: `http://${host}:${port}`,
    address,
    port,
    async [Symbol.asyncDispose]() {
      await close(server);
      await uploads?.[Symbol.asyncDispose]();
    },
  };
}

async function listen(
  server: Server,
  { address = '127.0.0.1', port = 0 }: RegistryServerOptions,
): Promise<AddressInfo> {
  try {
    server.listen(port, address);
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'something else listens there' : message;
    throw new MicaError('UNAVAILABLE', `listen on ${address} port ${port}: ${why}`, {
      cause: error,
    });
  }
  return server.address() as AddressInfo;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  // Node closes the connections that are idle now; those that become idle wait for their next request.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const cut = setTimeout(() => server.closeAllConnections(), GRACE);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
