import { OriginAuth } from './auth/authorizer.ts';
import type { Endpoint } from './hosts/endpoint.ts';
import type { Client, ClientRequest } from './http/client.ts';
import type { HttpResponse } from './http/exchange.ts';
import { isLoopback } from './http/proxy.ts';
import { isTransient } from './http/failure.ts';
import { Retries } from './http/retry.ts';
import { Shared } from './http/shared.ts';
import type { CredentialStore } from './options.ts';
import { isCode } from '../errors.ts';

/** What all requests of one `openRegistry` share. */
export interface Session {
  readonly client: Client;
  readonly credentials: CredentialStore | undefined;
  /** Ends with the registry client. */
  readonly lifetime: AbortSignal;
  /** Scheme and address, once known, of endpoints that may speak plain HTTP. */
  readonly bases: Map<string, Shared<URL>>;
  /** Until when (by `performance.now()`) a mirror that could not be reached is passed over. */
  readonly dead: Map<string, number>;
}

export interface RouteRequest extends Omit<ClientRequest, 'url' | 'authorizer' | 'originHeaders'> {
  /** Below the repository (`manifests/latest`), or an address that the registry gave. */
  readonly to: string | URL;
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** Default: to pull from the repository. */
  readonly scopes?: readonly string[] | undefined;
}

/** One endpoint in use: its requests carry its headers, our credentials, and nobody else's. */
export class Route {
  readonly endpoint: Endpoint;
  readonly #session: Session;
  readonly #auth: OriginAuth;

  constructor(endpoint: Endpoint, session: Session) {
    this.endpoint = endpoint;
    this.#session = session;
    const { client, credentials, lifetime } = session;
    const { registry, path } = endpoint;
    const credential = async (signal?: AbortSignal): ReturnType<CredentialStore['get']> =>
      credentials?.get(registry, path, { signal });
    this.#auth = new OriginAuth({ client, registry, credential, lifetime });
  }

  scope(actions: 'pull' | 'pull,push'): string {
    return `repository:${this.endpoint.path}:${actions}`;
  }

  async request(request: RouteRequest): Promise<HttpResponse> {
    const { to, query, scopes = [this.scope('pull')], ...rest } = request;
    const { namespace, path, headers } = this.endpoint;
    const base = await this.#base(request);
    const url = typeof to === 'string' ? new URL(`${trimmed(base)}/${path}/${to}`) : new URL(to);
    if (namespace !== undefined && typeof to === 'string') url.searchParams.set('ns', namespace);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    const own = url.origin === base.origin;
    return this.#session.client.request({
      ...rest,
      url,
      ...(own && { originHeaders: headers, authorizer: this.#auth.for(scopes) }),
    });
  }

  /** Asks the API's root, as a login does. */
  async ping(scopes: readonly string[], signal?: AbortSignal): Promise<HttpResponse> {
    const base = await this.#base({ signal });
    return this.#session.client.request({
      method: 'GET',
      url: new URL(`${trimmed(base)}/`),
      originHeaders: this.endpoint.headers,
      authorizer: this.#auth.for(scopes),
      signal,
    });
  }

  /** The API's root, with the scheme that is spoken there; asked for as often as the request would be. */
  async #base({
    attempts,
    target,
    signal,
  }: Pick<RouteRequest, 'attempts' | 'target' | 'signal'>): Promise<URL> {
    const { base, plainHttp } = this.endpoint;
    if (!plainHttp) return base;
    const { policy, onRetry } = this.#session.client.options;
    const most = { ...policy, attempts: attempts ?? policy.attempts };
    const retries = new Retries({ policy: most, onRetry, target });
    for (;;)
      try {
        return await this.#spoken(signal);
      } catch (error) {
        await retries.after(error, signal);
      }
  }

  async #spoken(signal: AbortSignal | undefined): Promise<URL> {
    const { base } = this.endpoint;
    const { bases, lifetime } = this.#session;
    const known = bases.get(base.href);
    const probe =
      known && !known.abandoned ? known : new Shared(lifetime, (stop) => this.#probe(stop));
    bases.set(base.href, probe);
    try {
      return await probe.wait(signal);
    } catch (error) {
      if (bases.get(base.href) === probe && !signal?.aborted) bases.delete(base.href);
      throw error;
    }
  }

  /** TLS if it is spoken there, whatever the certificate; else plain HTTP. Any answer will do. */
  async #probe(signal: AbortSignal): Promise<URL> {
    const { client } = this.#session;
    let failure: unknown;
    for (const [at, base] of candidates(this.endpoint.base).entries())
      try {
        const url = new URL(`${trimmed(base)}/`);
        const request = { method: 'GET', url, allow: 'any', attempts: 1 } as const;
        const response = await client.request({ ...request, signal });
        await response.body.discard();
        // What servers of TLS say to who does not speak it, if they say anything.
        if (at === 0 && base.protocol === 'http:' && response.status === 400) continue;
        return base;
      } catch (error) {
        failure = error;
        if (!isTransient(error) && !isCode(error, 'FAILED_PRECONDITION')) break;
      }
    throw failure;
  }
}

/**
 * A port of this machine speaks plain HTTP nearly always, and one of TLS answers nothing else in
 * plain text: asking that first saves the 20 ms that loading TLS takes. Without a port the two are
 * two servers.
 */
function candidates(secure: URL): URL[] {
  const plain = new URL(secure);
  plain.protocol = 'http:';
  const isNear = isLoopback(secure.hostname) && secure.port !== '';
  return isNear ? [plain, secure, plain] : [secure, plain];
}

const trimmed = (base: URL): string => base.href.replace(/\/+$/, '');
