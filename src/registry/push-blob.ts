import { MicaError } from '../errors.ts';
import type { Abortable, Reopenable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { RegistryError } from './error.ts';
import type { HttpResponse } from './http/exchange.ts';
import { asTransient, shown } from './http/failure.ts';
import { Retries, type RetryOptions } from './http/retry.ts';
import type { Route } from './route.ts';
import { UploadSource } from './upload-source.ts';

export interface PushBlobOptions extends Abortable, Omit<RetryOptions, 'target'> {}

/** An upload as the registry has it. */
interface Upload {
  readonly location: URL;
  /** Bytes that arrived. */
  readonly offset: number;
}

/** After an interruption the rest goes in pieces, so that a bad line does not start over again and again. */
const CHUNK = 16 * 1024 * 1024;

export async function hasBlob(
  route: Route,
  { digest }: Descriptor,
  scopes: readonly string[],
  { signal }: Abortable,
): Promise<boolean> {
  const to = `blobs/${digest}`;
  const response = await route.request({ method: 'HEAD', to, scopes, allow: [404, 405], signal });
  await response.body.discard();
  if (response.status !== 405) return response.status !== 404;
  const headers = { range: 'bytes=0-0' };
  const got = await route.request({
    method: 'GET',
    to,
    scopes,
    headers,
    allow: [404, 416],
    signal,
  });
  await got.body.return();
  return got.status !== 404;
}

/**
 * Uploads a blob in one piece and, if that is interrupted, goes on from where the registry says.
 *
 * @throws what `content` fails with, as it is
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs
 */
export async function pushBlob(
  route: Route,
  target: Descriptor,
  content: Reopenable,
  options: PushBlobOptions,
): Promise<void> {
  await using source = new UploadSource(content);
  await source.begin();
  const push = new BlobPush(route, target, source, options.signal);
  const retries = new Retries({ ...options, target });
  let upload: Upload | undefined;
  let furthest = 0;
  for (;;)
    try {
      upload ??= await push.start();
      for (let at: Upload = upload; ; upload = at) {
        const more = await push.send(at).catch(uncertain);
        if (!more) return;
        if (more.offset <= at.offset) throw stuck(at);
        // Going over the same ground again is none, or it might never end.
        if (more.offset > furthest) retries.progress();
        furthest = Math.max(furthest, more.offset);
        at = more;
      }
    } catch (error) {
      source.check();
      await retries.after(error, options.signal);
      upload = upload && (await push.status(upload).catch(() => undefined));
    }
}

const stuck = ({ location, offset }: Upload): MicaError =>
  asTransient(
    new MicaError(
      'UNAVAILABLE',
      `PATCH ${shown(location)}: the registry took nothing of what was sent after ${offset} bytes`,
    ),
  );

/**
 * An upload that is not there any more (it expired, the registry was restarted), or that has more
 * bytes than it said (of the request that was cut off), is worth asking about once more.
 */
function uncertain(error: unknown): never {
  throw error instanceof RegistryError && (error.status === 404 || error.status === 416)
    ? asTransient(new MicaError('UNAVAILABLE', error.message, { cause: error }))
    : error;
}

/** Adopts a blob from the repository `from` of the same registry. `false`: the registry would rather have the bytes. */
export async function mountBlob(
  route: Route,
  { digest }: Descriptor,
  from: string,
  { signal }: Abortable,
): Promise<boolean> {
  const scopes = [route.scope('pull,push'), `repository:${from}:pull`];
  const query = { mount: digest, from };
  const response = await route.request({
    method: 'POST',
    to: 'blobs/uploads/',
    query,
    scopes,
    headers: EMPTY,
    signal,
  });
  await response.body.discard();
  if (response.status === 201) return true;
  // The registry opened an upload instead, which nobody is going to finish.
  const location = URL.parse(response.header('location') ?? '', response.url.href);
  if (location)
    await route
      .request({ method: 'DELETE', to: location, scopes, attempts: 1, signal })
      .then((gone) => gone.body.discard())
      .catch(() => undefined);
  return false;
}

const EMPTY = { 'content-length': '0' };

class BlobPush {
  readonly #route: Route;
  readonly #target: Descriptor;
  readonly #source: UploadSource;
  readonly #common: Pick<
    Parameters<Route['request']>[0],
    'scopes' | 'signal' | 'attempts' | 'target'
  >;

  constructor(
    route: Route,
    target: Descriptor,
    source: UploadSource,
    signal: AbortSignal | undefined,
  ) {
    this.#route = route;
    this.#target = target;
    this.#source = source;
    this.#common = { scopes: [route.scope('pull,push')], signal, attempts: 1, target };
  }

  async start(): Promise<Upload> {
    const to = 'blobs/uploads/';
    const request = { ...this.#common, method: 'POST', to, headers: EMPTY } as const;
    const response = await this.#route.request(request);
    await response.body.discard();
    return { location: locationOf(response), offset: 0 };
  }

  /** What the registry has of it; `undefined`: begin again. */
  async status({ location }: Upload): Promise<Upload | undefined> {
    const response = await this.#route.request({ ...this.#common, method: 'GET', to: location });
    await response.body.discard();
    const offset = arrived(response);
    // `0-0` may be one byte or none.
    if (offset === undefined || offset <= 1) return undefined;
    return { location: locationOf(response, location), offset };
  }

  /** Sends what is next. `undefined`: the blob is there. */
  async send(upload: Upload): Promise<Upload | undefined> {
    const { offset } = upload;
    const { size } = this.#target;
    if (offset === 0) return this.#finish(upload, 0);
    if (offset >= size) return this.#finish(upload, size);
    const length = Math.min(CHUNK, size - offset);
    const response = await this.#route.request({
      ...this.#common,
      method: 'PATCH',
      to: upload.location,
      headers: { ...bytesOf(length), 'content-range': `${offset}-${offset + length - 1}` },
      body: () => this.#source.read(offset, length),
    });
    await response.body.discard();
    return {
      location: locationOf(response, upload.location),
      offset: arrived(response) ?? offset + length,
    };
  }

  /** Closes the upload with the bytes from `offset` on. */
  async #finish({ location }: Upload, offset: number): Promise<undefined> {
    const { digest, size } = this.#target;
    const to = new URL(location);
    // Not by searchParams: what the registry put there must stay as it is, byte for byte.
    to.search += `${to.search ? '&' : '?'}digest=${encodeURIComponent(digest)}`;
    const length = size - offset;
    const response = await this.#route.request({
      ...this.#common,
      method: 'PUT',
      to,
      headers: bytesOf(length),
      ...(length > 0 && { body: () => this.#source.read(offset, length) }),
    });
    await response.body.discard();
    const told = response.header('docker-content-digest');
    if (told?.startsWith('sha256:') && digest.startsWith('sha256:') && told !== digest)
      throw new MicaError(
        'DATA_LOSS',
        `PUT ${shown(to)}: the registry stored ${told}, not ${digest}`,
      );
  }
}

const bytesOf = (length: number): Record<string, string> => ({
  'content-type': 'application/octet-stream',
  'content-length': String(length),
});

/** How many bytes an upload has, by its `Range: 0-<last>`. */
function arrived(response: HttpResponse): number | undefined {
  const [, last] = /^(?:bytes=)?0-(\d+)$/.exec(response.header('range') ?? '') ?? [];
  return last === undefined ? undefined : Number(last) + 1;
}

/** Where an upload goes on. Never in clear where the registry is spoken to over TLS. */
function locationOf(response: HttpResponse, known?: URL): URL {
  const header = response.header('location');
  const url = header ? URL.parse(header, response.url.href) : known;
  const request = `POST ${shown(response.url)}`;
  if (!url || !/^https?:$/.test(url.protocol))
    throw new MicaError('UNAVAILABLE', `${request}: the registry opened no upload`);
  if (response.url.protocol === 'https:' && url.protocol === 'http:')
    throw new MicaError(
      'PERMISSION_DENIED',
      `${request}: the upload is to go on over plain HTTP, which is refused; a proxy before the registry may have to tell it about https (X-Forwarded-Proto)`,
    );
  return url;
}
