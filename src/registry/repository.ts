import { MicaError } from '../errors.ts';
import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import { isDocument, isForeignLayer } from '../oci/media-type.ts';
import { isRepositoryPath, isTag, type Reference, repositoryOf } from '../oci/reference.ts';
import { RegistryError } from './error.ts';
import { fetchBlob, type Place } from './fetch.ts';
import type { Capability } from './hosts/endpoint.ts';
import type { Hosts } from './hosts/resolve.ts';
import { isTransient } from './http/failure.ts';
import type { RetryOptions } from './http/retry.ts';
import { listReferrers, listTags } from './list.ts';
import { hasBlob, mountBlob, pushBlob } from './push-blob.ts';
import { pushManifest } from './push-manifest.ts';
import type { Repository, RepositoryFetchOptions, RepositoryPushOptions } from './registry.ts';
import { ACCEPT, getManifest, type Resolved, resolveManifest } from './resolve.ts';
import { Route, type Session } from './route.ts';

/** How long a mirror that could not be reached is passed over, in milliseconds. */
const DEAD = 60_000;

/** A repository over HTTP: mirrors first where that is allowed, the registry itself in the end. */
export class RegistryRepository implements Repository {
  readonly name: string;
  readonly #reference: Reference;
  readonly #hosts: Hosts;
  readonly #session: Session;
  readonly #routes = new Map<boolean, Promise<readonly Route[]>>();

  constructor({ domain, path }: Reference, hosts: Hosts, session: Session) {
    this.name = repositoryOf({ domain, path });
    this.#reference = { domain, path };
    this.#hosts = hosts;
    this.#session = session;
  }

  async resolve(reference: string, options: Abortable = {}): Promise<Descriptor> {
    if (!isTag(reference) && !isDigest(reference))
      throw new MicaError(
        'INVALID_ARGUMENT',
        `${JSON.stringify(reference.slice(0, 200))} is neither a tag nor a digest`,
      );
    const separator = isDigest(reference) ? '@' : ':';
    const { descriptor } = await this.#explained(
      `${this.name}${separator}${reference}`,
      this.#first(
        isDigest(reference) ? 'pull' : 'resolve',
        isDigest(reference),
        options,
        (route, attempts) => resolveManifest(route, reference, { ...options, attempts }),
      ),
    );
    return descriptor;
  }

  async *fetch(target: Descriptor, options: RepositoryFetchOptions = {}): Bytes {
    const { offset = 0, signal } = options;
    signal?.throwIfAborted();
    const routes = await this.#alive('pull', true);
    const lend = options.lend === true;
    const places = routes.map((route) => registryPlace(route, target, lend));
    if (isForeignLayer(target.mediaType))
      for (const url of target.urls ?? []) places.push(this.#foreignPlace(url, lend));
    yield* fetchBlob(places, target, { ...this.#retry(options), offset, signal });
  }

  async has(target: Descriptor, options: Abortable = {}): Promise<boolean> {
    const route = await this.#pushRoute();
    const scopes = [route.scope('pull,push')];
    if (!isDocument(target.mediaType)) return hasBlob(route, target, scopes, options);
    const to = `manifests/${target.digest}`;
    const headers = { accept: ACCEPT };
    const request = { method: 'HEAD', to, scopes, headers, allow: [404, 405] } as const;
    const response = await route.request({ ...request, ...options });
    await response.body.discard();
    return response.status < 400;
  }

  async push(
    target: Descriptor,
    content: Reopenable,
    options: RepositoryPushOptions = {},
  ): Promise<void> {
    const route = await this.#pushRoute();
    const { signal, as = target.digest, isAbsent = false } = options;
    if (isDocument(target.mediaType)) {
      const bytes = await collect(content(0));
      return pushManifest(route, target, as, bytes, { signal });
    }
    if (!isAbsent && (await hasBlob(route, target, [route.scope('pull,push')], { signal }))) return;
    await pushBlob(route, target, content, { ...this.#retry({}), signal });
  }

  async tag(reference: string, target: Descriptor, options: Abortable = {}): Promise<void> {
    if (!isTag(reference))
      throw new MicaError(
        'INVALID_ARGUMENT',
        `${JSON.stringify(reference.slice(0, 200))} is not a tag`,
      );
    const route = await this.#pushRoute();
    const { signal } = options;
    const { bytes, descriptor } = await getManifest(route, target.digest, { signal });
    await pushManifest(route, descriptor, reference, bytes, { signal });
  }

  async mount(target: Descriptor, from: string, options: Abortable = {}): Promise<boolean> {
    if (!isRepositoryPath(from))
      throw new MicaError(
        'INVALID_ARGUMENT',
        `${JSON.stringify(from.slice(0, 200))} is not the name of a repository`,
      );
    return mountBlob(await this.#pushRoute(), target, from, options);
  }

  async *listTags({ signal }: Abortable = {}): AsyncGenerator<string> {
    const route = (await this.#alive('resolve', false)).at(-1)!;
    yield* listTags(route, signal);
  }

  async *listReferrers(
    { digest }: Descriptor,
    { signal, artifactType }: Abortable & { readonly artifactType?: string | undefined } = {},
  ): AsyncGenerator<Descriptor> {
    const route = (await this.#alive('resolve', true)).at(-1)!;
    yield* listReferrers(route, digest, artifactType, signal);
  }

  /** The places that may be asked for `capability`, in their order; those just found dead only if there are no others. */
  async #alive(capability: Capability, byDigest: boolean): Promise<readonly Route[]> {
    let routes = this.#routes.get(byDigest);
    if (!routes) {
      const digest = byDigest ? ({ digest: ANY_DIGEST } as const) : {};
      routes = this.#hosts
        .endpoints({ ...this.#reference, ...digest })
        .then((endpoints) => endpoints.map((endpoint) => new Route(endpoint, this.#session)));
      this.#routes.set(byDigest, routes);
      routes.catch(() => this.#routes.delete(byDigest));
    }
    const able = (await routes).filter(({ endpoint }) => endpoint.capabilities.has(capability));
    if (able.length === 0)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `${this.name}: no host is configured that one may ${capability} from`,
      );
    const now = performance.now();
    const { dead } = this.#session;
    const alive = able.filter(({ endpoint }) => (dead.get(endpoint.base.href) ?? 0) < now);
    return alive.length > 0 ? alive : able;
  }

  async #pushRoute(): Promise<Route> {
    const [route] = await this.#alive('push', false);
    return route!;
  }

  /** The answer of the first place that has one. */
  async #first(
    capability: Capability,
    byDigest: boolean,
    { signal }: Abortable,
    ask: (route: Route, attempts: number | undefined) => Promise<Resolved>,
  ): Promise<Resolved> {
    signal?.throwIfAborted();
    const routes = await this.#alive(capability, byDigest);
    for (const route of routes.slice(0, -1))
      try {
        return await ask(route, 1);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof RegistryError) && isTransient(error))
          this.#session.dead.set(route.endpoint.base.href, performance.now() + DEAD);
      }
    return ask(routes.at(-1)!, undefined);
  }

  #retry({ onRetry }: Pick<RepositoryFetchOptions, 'onRetry'>): Omit<RetryOptions, 'target'> {
    const { policy, onRetry: everywhere } = this.#session.client.options;
    return { policy, onRetry: onRetry ?? everywhere };
  }

  /** What registries leave to their publisher: fetched without anybody's credentials. */
  #foreignPlace(address: string, lend: boolean): Place {
    return {
      open: async (headers, options) => {
        const url = URL.parse(address);
        if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
          throw new MicaError('INVALID_ARGUMENT', `a layer's URL is not one of http or https`);
        url.username = url.password = '';
        const { client } = this.#session;
        return client.request({ method: 'GET', url, headers, attempts: 1, lend, ...options });
      },
    };
  }

  /** Says which image could not be had, in the terms of whoever asked for it. */
  async #explained<T>(name: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof RegistryError) || ![401, 403, 404].includes(error.status)) throw error;
      const login = `mica login ${this.#reference.domain}`;
      const what =
        error.status === 404 ? 'not found' : `does not exist, or needs a login ("${login}")`;
      throw new RegistryError(`${name}: ${what}: ${error.message}`, error, { cause: error });
    }
  }
}

/** Only whether there is a digest matters to the choice of mirrors. */
const ANY_DIGEST = `sha256:${'0'.repeat(64)}` as const;

function registryPlace(route: Route, target: Descriptor, lend: boolean): Place {
  const document = isDocument(target.mediaType);
  const to = `${document ? 'manifests' : 'blobs'}/${target.digest}`;
  const accept = document ? { accept: `${target.mediaType}, ${ACCEPT}` } : {};
  return {
    open: (headers, options) =>
      route.request({
        method: 'GET',
        to,
        headers: { ...accept, ...headers },
        attempts: 1,
        target,
        lend,
        ...options,
      }),
  };
}

async function collect(content: Bytes): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content) {
    length += chunk.byteLength;
    if (length > MAX_MANIFEST_SIZE)
      throw new MicaError(
        'INVALID_ARGUMENT',
        `a manifest to push is larger than the ${MAX_MANIFEST_SIZE} bytes that registries take`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}
