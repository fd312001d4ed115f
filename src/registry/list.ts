import { MicaError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { MAX_MANIFEST_SIZE, parseIndex } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-type.ts';
import { isTag } from '../oci/reference.ts';
import { RegistryError } from './error.ts';
import type { HttpResponse } from './http/exchange.ts';
import { shown } from './http/failure.ts';
import { nextTarget } from './link.ts';
import { getManifest } from './resolve.ts';
import type { Route, RouteRequest } from './route.ts';

const PAGE = 1000;
/** More than any repository has; a registry that links in circles ends here. */
const MAX_PAGES = 10_000;
const MAX_PAGE_SIZE = 8 * 1024 * 1024;

/** The repository's tags, in the registry's order. */
export async function* listTags(route: Route, signal?: AbortSignal): AsyncGenerator<string> {
  const to = `tags/list`;
  for await (const response of pages(route, {
    method: 'GET',
    to,
    query: { n: `${PAGE}` },
    signal,
  })) {
    const bytes = await response.body.bytes(MAX_PAGE_SIZE, shown(response.url));
    yield* parseTags(bytes, response.url);
  }
}

/**
 * The manifests whose subject is `digest`; from a registry without the referrers API those that
 * clients have listed under a tag.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export async function* listReferrers(
  route: Route,
  digest: Digest,
  artifactType: string | undefined,
  signal?: AbortSignal,
): AsyncGenerator<Descriptor> {
  const fits = (descriptor: Descriptor): boolean =>
    artifactType === undefined || descriptor.artifactType === artifactType;
  const query = artifactType === undefined ? undefined : { artifactType };
  const to = `referrers/${digest}`;
  const request: RouteRequest = {
    method: 'GET',
    to,
    query,
    headers: { accept: OCI_INDEX },
    signal,
  };
  try {
    for await (const response of pages(route, request)) {
      if (!response.header('content-type')?.startsWith(OCI_INDEX)) {
        await response.body.discard();
        break;
      }
      const bytes = await response.body.bytes(MAX_MANIFEST_SIZE, shown(response.url));
      yield* parseIndex(bytes).manifests.filter(fits);
      if (response.header('link') === undefined) return;
    }
  } catch (error) {
    if (!(error instanceof RegistryError && [400, 404, 405, 501].includes(error.status)))
      throw error;
  }
  const listed = await taggedReferrers(route, digest, signal);
  yield* listed.filter(fits);
}

/** Where referrers are listed in registries that do not list them. */
export const referrersTag = (digest: Digest): string => digest.replace(':', '-').slice(0, 128);

export async function taggedReferrers(
  route: Route,
  digest: Digest,
  signal?: AbortSignal,
): Promise<readonly Descriptor[]> {
  try {
    const { bytes, descriptor } = await getManifest(route, referrersTag(digest), { signal });
    return parseIndex(bytes, descriptor.mediaType).manifests;
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return [];
    throw error;
  }
}

/** The pages of a list, as each names the next one in `Link`. Never leads to another origin, nor in circles. */
async function* pages(route: Route, request: RouteRequest): AsyncGenerator<HttpResponse> {
  const seen = new Set<string>();
  let next: RouteRequest | undefined = request;
  while (next) {
    const response: HttpResponse = await route.request(next);
    seen.add(response.url.href);
    const link = nextLink(response);
    yield response;
    if (link && (seen.has(link.href) || seen.size >= MAX_PAGES))
      throw new MicaError('UNAVAILABLE', `GET ${shown(response.url)}: the list has no end`);
    next = link && { ...request, to: link, query: undefined };
  }
}

function nextLink(response: HttpResponse): URL | undefined {
  const target = nextTarget(response.header('link') ?? '');
  if (target === undefined) return undefined;
  const url = URL.parse(target, response.url.href);
  if (url?.origin === response.url.origin) return url;
  throw new MicaError(
    'PERMISSION_DENIED',
    `GET ${shown(response.url)}: the list continues at another host, which is refused`,
  );
}

function parseTags(bytes: Uint8Array, url: URL): string[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new MicaError('UNAVAILABLE', `GET ${shown(url)}: the answer is not JSON`, { cause });
  }
  const { tags } = Object(value) as { readonly tags?: unknown };
  // What a registry without any tags says differs.
  if (tags === null || tags === undefined) return [];
  if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string' && isTag(tag)))
    return tags as string[];
  throw new MicaError('UNAVAILABLE', `GET ${shown(url)}: the answer is not a list of tags`);
}
