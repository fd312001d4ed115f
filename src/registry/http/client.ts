import { MicaError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { harmless, parseProblems, RegistryError } from '../error.ts';
import type { RetryEvent, RetryPolicy } from '../options.ts';
import type { HttpRequest, HttpResponse } from './exchange.ts';
import { shown } from './failure.ts';
import { parseRetryAfter, Retries } from './retry.ts';
import type { Transport } from './transport.ts';

/** Proves who we are to one origin. */
export interface Authorizer {
  /** Value of `Authorization`, as far as is known what the other end wants. */
  header(signal?: AbortSignal): Promise<string | undefined>;
  /** Another value after `response`, a 401, to a request sent with `sent`. @throws UNAUTHENTICATED when there is none */
  refused(
    response: HttpResponse,
    sent: string | undefined,
    signal?: AbortSignal,
  ): Promise<string | undefined>;
}

export interface ClientRequest extends Omit<HttpRequest, 'headers'> {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Sent to the origin of `url`, never to what it redirects to. */
  readonly originHeaders?: Readonly<Record<string, string>> | undefined;
  readonly authorizer?: Authorizer | undefined;
  /** Statuses of 400 and above that are answers to the caller, not errors; with `any` redirects too. */
  readonly allow?: readonly number[] | 'any' | undefined;
  /** Whether redirects are followed. Default true. */
  readonly redirect?: boolean | undefined;
  /** Default: the client's policy. */
  readonly attempts?: number | undefined;
  /** What the request is about, for whoever watches retries. */
  readonly target?: Descriptor | undefined;
}

export interface ClientOptions {
  readonly policy: { readonly [Name in keyof RetryPolicy]-?: number };
  readonly userAgent: string;
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

const MAX_REDIRECTS = 10;
const MAX_PROBLEM_SIZE = 64 * 1024;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** HTTP as registries need it: authorized, redirected without giving secrets away, tried again. */
export class Client {
  readonly options: ClientOptions;
  readonly #transport: Transport;

  constructor(transport: Transport, options: ClientOptions) {
    this.#transport = transport;
    this.options = options;
  }

  /** The answer, with a status below 400 or one that the request allows. @throws RegistryError, UNAVAILABLE, … */
  async request(request: ClientRequest): Promise<HttpResponse> {
    const { policy, onRetry } = this.options;
    const { attempts = policy.attempts, target } = request;
    const retries = new Retries({ policy: { ...policy, attempts }, onRetry, target });
    for (;;)
      try {
        return await this.#attempt(request);
      } catch (error) {
        await retries.after(error, request.signal);
      }
  }

  async #attempt(request: ClientRequest): Promise<HttpResponse> {
    let { url } = request;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const response = await this.#authorized(request, url);
      if (isAnswer(request, response)) return response;
      if (!REDIRECTS.has(response.status) || request.redirect === false)
        throw await refusal(request.method, response);
      await response.body.discard();
      url = redirected(request, response);
    }
    throw new MicaError(
      'UNAVAILABLE',
      `${request.method} ${shown(request.url)}: redirected more than ${MAX_REDIRECTS} times`,
    );
  }

  async #authorized(request: ClientRequest, url: URL): Promise<HttpResponse> {
    const { signal, originHeaders } = request;
    const own = url.origin === request.url.origin;
    const authorizer = own ? request.authorizer : undefined;
    const sent = await authorizer?.header(signal);
    const send = (authorization: string | undefined): Promise<HttpResponse> =>
      this.#transport.send({
        ...request,
        url,
        headers: {
          'user-agent': this.options.userAgent,
          'accept-encoding': 'identity',
          ...request.headers,
          ...(own && originHeaders),
          ...(authorization !== undefined && { authorization }),
        },
      });
    const response = await send(sent);
    if (response.status !== 401 || !authorizer) return response;
    const better = await authorizer.refused(response, sent, signal);
    return better === undefined ? response : send(better);
  }
}

function isAnswer({ allow }: ClientRequest, { status }: HttpResponse): boolean {
  if (status < 400 && !REDIRECTS.has(status)) return true;
  return allow === 'any' || allow?.includes(status) === true;
}

/** Where a redirect leads. Secrets stay behind because their headers are added per origin. */
function redirected({ method, body }: ClientRequest, response: HttpResponse): URL {
  const { status, url: from } = response;
  const request = `${method} ${shown(from)}`;
  const to = URL.parse(response.header('location') ?? '', from.href);
  if (!to || !/^https?:$/.test(to.protocol))
    throw new MicaError('UNAVAILABLE', `${request}: redirected to nowhere`);
  if (from.protocol === 'https:' && to.protocol === 'http:')
    throw new MicaError(
      'PERMISSION_DENIED',
      `${request}: redirected from https to plain HTTP on ${harmless(to.host, 200)}, which is refused`,
    );
  if (body !== undefined && status < 307)
    throw new MicaError('UNAVAILABLE', `${request}: redirected by ${status}, which loses the body`);
  to.username = to.password = to.hash = '';
  return to;
}

/** A refusal as an error, with what the registry says about it. */
export async function refusal(method: string, response: HttpResponse): Promise<RegistryError> {
  const { status, body } = response;
  const url = shown(response.url);
  const text = await body.bytes(MAX_PROBLEM_SIZE, url).catch(() => new Uint8Array());
  const errors = parseProblems(text);
  const said = errors.map(({ code, message }) => [code, message].filter(Boolean).join(': '));
  const page = isHtml(response) ? ['a web page instead of an answer'] : [];
  const retryAfter = parseRetryAfter(response.header('retry-after'));
  const wait = retryAfter ? [`try again in ${Math.ceil(retryAfter / 1000)} s`] : [];
  const limit = rateLimit(response);
  const details = [...said, ...page, ...limit, ...wait].join('; ');
  return new RegistryError(`${method} ${url}: ${status}${details && ` (${details})`}`, {
    status,
    url,
    errors,
    retryAfter,
  });
}

/** What no registry answers with, but captive portals, proxies and wrong addresses do. */
export const isHtml = (response: HttpResponse): boolean =>
  /^\s*(?:text\/html|application\/xhtml)/i.test(response.header('content-type') ?? '');

function rateLimit(response: HttpResponse): string[] {
  const [limit, rest] = [
    response.header('ratelimit-limit'),
    response.header('ratelimit-remaining'),
  ];
  if (response.status !== 429 || limit === undefined) return [];
  return [harmless(`rate limit ${limit}, remaining ${rest ?? 0}`, 100)];
}
