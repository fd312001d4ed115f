import { channel } from 'node:diagnostics_channel';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { ProxyOptions, Timeouts } from '../options.ts';
import { Exchange, type HttpRequest, type HttpResponse } from './exchange.ts';
import { shown } from './failure.ts';
import { proxyFor } from './proxy.ts';
import { connectOptions, isUntrusted, type TlsOptions } from './tls.ts';
import type { Wire } from './wire/wire.ts';

export interface TransportOptions {
  readonly connections: number;
  readonly timeouts: { readonly [Name in keyof Timeouts]-?: number };
  readonly proxy: ProxyOptions;
  /** Asked when an origin is connected to. */
  readonly tls: (url: URL) => Promise<TlsOptions>;
}

/** What needs no more than a socket; loading undici takes as long as ten such requests. */
const PLAIN: ReadonlySet<HttpRequest['method']> = new Set(['GET', 'HEAD']);

const http = channel('mica:http');

/** One HTTP request gives one answer: no redirects, no retries, no credentials. Connections are kept per origin. */
export class Transport implements AsyncDisposable {
  readonly #options: TransportOptions;
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();
  readonly #wires = new Map<string, Promise<Wire>>();
  /** Reading the system's CAs takes 0.2 s, so only a certificate that nobody else vouches for makes us. */
  #trustSystem = false;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** @throws UNAVAILABLE and, where the certificate is the reason, FAILED_PRECONDITION */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const { method, url } = request;
    const started = performance.now();
    const response = await this.#trusting(request);
    if (http.hasSubscribers) {
      const milliseconds = performance.now() - started;
      http.publish({ method, url: shown(url), status: response.status, milliseconds });
    }
    return response;
  }

  async #trusting(request: HttpRequest): Promise<HttpResponse> {
    try {
      return await this.#dispatch(request);
    } catch (error) {
      if (this.#trustSystem || !isUntrusted(error)) throw error;
      this.#trustSystem = true;
      this.#dispatchers.delete(request.url.origin);
      this.#wires.delete(request.url.origin);
      return this.#dispatch(request);
    }
  }

  async #dispatch(request: HttpRequest): Promise<HttpResponse> {
    const { method, url, headers, signal } = request;
    signal?.throwIfAborted();
    if (PLAIN.has(method) && proxyFor(url, this.#options.proxy) === undefined) {
      const wire = await kept(this.#wires, url, () => this.#wire(url));
      return wire.get(request);
    }
    const dispatcher = await kept(this.#dispatchers, url, () => this.#connect(url));
    signal?.throwIfAborted();
    const content = request.body?.() ?? null;
    const body =
      content === null || content instanceof Uint8Array
        ? content
        : Readable.from(content, { objectMode: false });
    const exchange = new Exchange(request);
    const path = url.pathname + url.search;
    dispatcher.dispatch({ origin: url.origin, path, method, headers, body }, exchange);
    return exchange.answer;
  }

  async #wire(origin: URL): Promise<Wire> {
    const { Wire: Open } = await import('./wire/wire.ts');
    const { timeouts, connections } = this.#options;
    return new Open({ origin, tls: await this.#tls(origin), timeouts, connections });
  }

  async #connect(url: URL): Promise<Dispatcher> {
    const { timeouts, connections } = this.#options;
    const proxy = proxyFor(url, this.#options.proxy);
    const tls = await this.#tls(url);
    const options = {
      connections,
      pipelining: 1,
      allowH2: false,
      headersTimeout: timeouts.idle,
      bodyTimeout: timeouts.idle,
      keepAliveTimeout: 30_000,
      maxHeaderSize: 64 * 1024,
    };
    if (!proxy) {
      const { default: Pool } = await import('undici/lib/dispatcher/pool.js');
      return new Pool(url.origin, { ...options, connect: { ...tls, timeout: timeouts.connect } });
    }
    const { ProxyAgent } = await import('undici');
    return new ProxyAgent({
      ...options,
      uri: proxy.href,
      requestTls: tls,
      connectTimeout: timeouts.connect,
    });
  }

  async #tls(url: URL): ReturnType<typeof connectOptions> {
    if (url.protocol !== 'https:') return {};
    return connectOptions(await this.#options.tls(url), this.#trustSystem);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const dispatchers = [...this.#dispatchers.values()];
    const wires = [...this.#wires.values()];
    this.#dispatchers.clear();
    this.#wires.clear();
    for (const wire of wires)
      await wire.then(
        (open) => open[Symbol.dispose](),
        () => undefined,
      );
    for (const dispatcher of dispatchers)
      await dispatcher.then((open) => open.destroy()).catch(() => undefined);
  }
}

function kept<T>(
  all: Map<string, Promise<T>>,
  { origin }: URL,
  open: () => Promise<T>,
): Promise<T> {
  const known = all.get(origin);
  if (known) return known;
  const opening = open();
  all.set(origin, opening);
  // A certificate that could not be read may be there next time.
  opening.catch(() => all.delete(origin));
  return opening;
}
