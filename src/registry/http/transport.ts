import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { ProxyOptions, Timeouts } from '../options.ts';
import { Exchange, type HttpRequest, type HttpResponse } from './exchange.ts';
import { proxyFor } from './proxy.ts';
import { connectOptions, isUntrusted, type TlsOptions } from './tls.ts';

export interface TransportOptions {
  readonly connections: number;
  readonly timeouts: { readonly [Name in keyof Timeouts]-?: number };
  readonly proxy: ProxyOptions;
  /** Asked when an origin is connected to. */
  readonly tls: (url: URL) => Promise<TlsOptions>;
}

/** One HTTP request gives one answer: no redirects, no retries, no credentials. Connections are kept per origin. */
export class Transport implements AsyncDisposable {
  readonly #options: TransportOptions;
  readonly #dispatchers = new Map<string, Promise<Dispatcher>>();
  /** Reading the system's CAs takes 0.2 s, so only a certificate that nobody else vouches for makes us. */
  #trustSystem = false;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** @throws UNAVAILABLE and, where the certificate is the reason, FAILED_PRECONDITION */
  async send(request: HttpRequest): Promise<HttpResponse> {
    try {
      return await this.#dispatch(request);
    } catch (error) {
      if (this.#trustSystem || !isUntrusted(error)) throw error;
      this.#trustSystem = true;
      this.#dispatchers.delete(request.url.origin);
      return this.#dispatch(request);
    }
  }

  async #dispatch(request: HttpRequest): Promise<HttpResponse> {
    const { method, url, headers, signal } = request;
    signal?.throwIfAborted();
    const dispatcher = await this.#dispatcher(url);
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

  #dispatcher(url: URL): Promise<Dispatcher> {
    let dispatcher = this.#dispatchers.get(url.origin);
    if (!dispatcher) {
      dispatcher = this.#connect(url);
      this.#dispatchers.set(url.origin, dispatcher);
      // A certificate that could not be read may be there next time.
      dispatcher.catch(() => this.#dispatchers.delete(url.origin));
    }
    return dispatcher;
  }

  async #connect(url: URL): Promise<Dispatcher> {
    const { timeouts, connections } = this.#options;
    const proxy = proxyFor(url, this.#options.proxy);
    const secure = url.protocol === 'https:';
    const tls = secure ? await connectOptions(await this.#options.tls(url), this.#trustSystem) : {};
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

  async [Symbol.asyncDispose](): Promise<void> {
    const dispatchers = [...this.#dispatchers.values()];
    this.#dispatchers.clear();
    for (const dispatcher of dispatchers)
      await dispatcher.then((open) => open.destroy()).catch(() => undefined);
  }
}
