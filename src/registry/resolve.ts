import { hash } from 'node:crypto';
import { MicaError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, isDigest } from '../oci/digest.ts';
import { MAX_MANIFEST_SIZE, sniffMediaType } from '../oci/manifest.ts';
import {
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  isDocument,
  isSchema1,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../oci/media-type.ts';
import { RegistryError } from './error.ts';
import { isHtml } from './http/client.ts';
import type { HttpResponse } from './http/exchange.ts';
import { shown } from './http/failure.ts';
import type { Route } from './route.ts';

/** Every document that we can read, the ones that most registries have first. */
export const ACCEPT: string = [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST].join(', ');

export interface ResolveOptions {
  readonly attempts?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A document, and what it hashes to. */
export interface Resolved {
  readonly descriptor: Descriptor;
  /** Absent where the registry told us without sending it. */
  readonly bytes?: Uint8Array;
}

/** Asks what a tag or digest stands for: by HEAD, which costs no rate limit, and where that does not do by GET. */
export async function resolveManifest(
  route: Route,
  reference: string,
  options: ResolveOptions,
): Promise<Resolved> {
  const response = await head(route, reference, options);
  const descriptor = response && describe(response, reference);
  if (descriptor) return { descriptor: checked(descriptor, response) };
  return getManifest(route, reference, options);
}

/** @throws DATA_LOSS when the document is not the one asked for */
export async function getManifest(
  route: Route,
  reference: string,
  options: ResolveOptions,
): Promise<Required<Resolved>> {
  const response = await route.request({
    ...options,
    method: 'GET',
    to: `manifests/${reference}`,
    headers: { accept: ACCEPT },
  });
  const request = `GET ${shown(response.url)}`;
  if (isHtml(response))
    throw new MicaError(
      'UNAVAILABLE',
      `${request}: the answer is a web page; is this a registry, and no login page or proxy before it?`,
    );
  const bytes = await response.body.bytes(MAX_MANIFEST_SIZE, request);
  const digest = hashLike(reference, bytes);
  const told = response.header('docker-content-digest');
  for (const expected of [reference, told])
    if (expected && isDigest(expected) && expected !== hashLike(expected, bytes))
      throw new MicaError('DATA_LOSS', `${request}: the answer is ${digest}, not ${expected}`);
  const type = contentType(response);
  const mediaType = isDocument(type) ? type : sniffMediaType(bytes);
  const descriptor = { mediaType, digest, size: bytes.byteLength };
  return { descriptor: checked(descriptor, response), bytes };
}

/** `undefined`: the registry does not answer HEAD, or says no more than that. */
async function head(
  route: Route,
  reference: string,
  options: ResolveOptions,
): Promise<HttpResponse | undefined> {
  const headers = { accept: ACCEPT };
  try {
    return await route.request({
      ...options,
      method: 'HEAD',
      to: `manifests/${reference}`,
      headers,
    });
  } catch (error) {
    if (error instanceof RegistryError && [400, 404, 405, 406, 501].includes(error.status))
      return undefined;
    throw error;
  }
}

function describe(response: HttpResponse, reference: string): Descriptor | undefined {
  const mediaType = contentType(response);
  const told = response.header('docker-content-digest') ?? '';
  const size = response.header('content-length') ?? '';
  if (!isDocument(mediaType) || !isDigest(told) || !/^\d{1,9}$/.test(size)) return undefined;
  // A document asked for by digest must prove it; so must one whose registry hashes otherwise.
  if (isDigest(reference) && reference !== told) return undefined;
  return { mediaType, digest: told, size: Number(size) };
}

function checked(descriptor: Descriptor, { url }: HttpResponse): Descriptor {
  if (isSchema1(descriptor.mediaType))
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `${shown(url)} has the format that Docker used before 2016 (schema 1), which Mica does not read; push the image again with a current tool`,
    );
  if (descriptor.size > MAX_MANIFEST_SIZE)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${shown(url)} has ${descriptor.size} bytes; manifests have at most ${MAX_MANIFEST_SIZE}`,
    );
  return descriptor;
}

const contentType = (response: HttpResponse): string =>
  (response.header('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();

function hashLike(reference: string, bytes: Uint8Array): Digest {
  const algorithm = isDigest(reference) ? algorithmOf(reference) : 'sha256';
  return `${algorithm}:${hash(algorithm, bytes)}`;
}
