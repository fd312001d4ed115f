import { type Digest, isDigest } from '../oci/digest.ts';
import { Refusal } from './exchange.ts';

/** What a request is about. Names, digests and upload ids in it have been checked. */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: string }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly name: string }
  | { readonly kind: 'upload'; readonly name: string; readonly id: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest };

const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const UPLOAD = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests */
export const isName = (text: string): boolean => text.length <= 255 && NAME.test(text);
export const isTag = (text: string): boolean => TAG.test(text);

/** Names contain slashes, so a path is read from its end. */
const PATHS: readonly (readonly [pattern: RegExp, route: (name: string, last: string) => Route])[] =
  [
    [/^(.+)\/tags\/list$/, (name) => ({ kind: 'tags', name: checkName(name) })],
    [/^(.+)\/blobs\/uploads\/?$/, (name) => ({ kind: 'uploads', name: checkName(name) })],
    [
      /^(.+)\/blobs\/uploads\/([^/]+)$/,
      (name, id) => ({ kind: 'upload', name: checkName(name), id: checkUpload(id) }),
    ],
    [
      /^(.+)\/blobs\/([^/]+)$/,
      (name, digest) => ({ kind: 'blob', name: checkName(name), digest: checkDigest(digest) }),
    ],
    [
      /^(.+)\/manifests\/([^/]+)$/,
      (name, reference) => ({
        kind: 'manifest',
        name: checkName(name),
        reference: reference.includes(':') ? checkDigest(reference) : reference,
      }),
    ],
    [
      /^(.+)\/referrers\/([^/]+)$/,
      (name, digest) => ({ kind: 'referrers', name: checkName(name), digest: checkDigest(digest) }),
    ],
  ];

/** Reads a request target's path, e.g. `/v2/library/redis/manifests/latest`. */
export function routeOf(path: string): Route {
  if (path === '/v2' || path === '/v2/') return { kind: 'base' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  const rest = path.startsWith('/v2/') ? decoded(path.slice('/v2/'.length)) : '';
  for (const [pattern, route] of PATHS) {
    const match = pattern.exec(rest);
    if (match) return route(match[1]!, match[2] ?? '');
  }
  throw new Refusal(404, 'UNSUPPORTED', 'no such endpoint; the API is below /v2/');
}

/**
 * The route that a mirror's client means: containerd says with `?ns=ghcr.io` which registry it
 * would have asked. Its images have that name in front, as `ServedImages` has them.
 */
export function withNamespace(route: Route, namespace: string | null): Route {
  if (namespace === null || !('name' in route)) return route;
  const name = `${namespace.toLowerCase().replace(':', '_')}/${route.name}`;
  return { ...route, name: checkName(name) };
}

/** Some clients escape the colon of a digest. The grammars are checked on what comes out. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new Refusal(400, 'NAME_INVALID', 'the path is not valid percent-encoding');
  }
}

export function checkName(name: string): string {
  if (isName(name)) return name;
  throw new Refusal(400, 'NAME_INVALID', `${quoted(name)} is not a repository name`);
}

export function checkDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new Refusal(
    400,
    'DIGEST_INVALID',
    `${quoted(text)} is not a sha256 or sha512 digest in lower-case hex`,
  );
}

function checkUpload(id: string): string {
  if (UPLOAD.test(id)) return id;
  throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', `there is no upload ${quoted(id)}`);
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 300));
