import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import type { Bytes } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, sha256 } from '../../oci/digest.ts';
import {
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
} from '../../oci/media-type.ts';

/** A registry as the suite sees it. */
export interface RegistryUnderTest {
  /** Base URL, e.g. `http://127.0.0.1:5000`. */
  readonly url: string;
  /** The `Authorization` header that allows everything. */
  readonly authorization?: string | undefined;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Uint8Array | string | Bytes;
  /** Default: the credentials of the registry under test. */
  readonly authorization?: string | undefined;
}

export interface Pushed {
  readonly bytes: Buffer;
  readonly descriptor: Descriptor;
}

const ACCEPT = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX, '*/*'].join(', ');

/** Plain requests, as the specification words them; nothing is followed, retried or decoded. */
export class Client {
  readonly #registry: RegistryUnderTest;

  constructor(registry: RegistryUnderTest) {
    this.#registry = registry;
  }

  get url(): string {
    return this.#registry.url;
  }

  /** For requests written by hand. */
  get authorizationLine(): string {
    const { authorization } = this.#registry;
    return authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
  }

  /** @param path sent as it is; a full URL, as `Location` may hold one, is resolved first */
  async send(method: string, path: string, ask: Ask = {}): Promise<Reply> {
    const { host, pathname, search } = new URL(this.#registry.url);
    const target = /^https?:/.test(path) ? pathOf(path) : `${pathname.slice(1)}${path}${search}`;
    const { authorization = this.#registry.authorization } = ask;
    const outgoing = request(`http://${host}`, {
      method,
      path: target,
      headers: {
        accept: ACCEPT,
        ...(authorization && { authorization }),
        ...lengthOf(ask.body),
        ...ask.headers,
      },
    });
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
    if (ask.body === undefined || ask.body instanceof Uint8Array || typeof ask.body === 'string')
      outgoing.end(ask.body);
    else Readable.from(ask.body).pipe(outgoing);
    const [response] = await answered;
    const bytes = Buffer.concat(await response.toArray());
    return { status: response.statusCode ?? 0, headers: response.headers, bytes };
  }

  /** A repository name that nobody has used. */
  repository(): string {
    return `conformance/${randomBytes(6).toString('hex')}`;
  }

  /** Starts an upload and tells where it is. */
  async startUpload(repository: string): Promise<string> {
    const { status, headers } = await this.send('POST', `/v2/${repository}/blobs/uploads/`);
    if (status !== 202) throw new Error(`POST of an upload: status ${status}`);
    return locationOf(headers);
  }

  async pushBlob(
    repository: string,
    bytes: Buffer = randomBytes(300),
    mediaType: string = OCI_LAYER,
  ): Promise<Pushed> {
    const digest = sha256(bytes);
    const path = withDigest(await this.startUpload(repository), digest);
    const { status } = await this.send('PUT', path, { body: bytes });
    if (status !== 201) throw new Error(`PUT of a blob: status ${status}`);
    return { bytes, descriptor: { mediaType, digest, size: bytes.byteLength } };
  }

  /** Pushes a document under a tag, or under its digest. */
  async pushManifest(
    repository: string,
    document: { readonly mediaType: string },
    tag?: string,
  ): Promise<Pushed & { readonly reply: Reply }> {
    const bytes = Buffer.from(JSON.stringify(document));
    const { mediaType } = document;
    const descriptor = { mediaType, digest: sha256(bytes), size: bytes.byteLength };
    const reply = await this.putManifest(repository, tag ?? descriptor.digest, bytes, mediaType);
    if (reply.status !== 201)
      throw new Error(`PUT of a manifest: status ${reply.status}: ${reply.bytes.toString()}`);
    return { bytes, descriptor, reply };
  }

  putManifest(
    repository: string,
    reference: string,
    body: Uint8Array | string,
    mediaType: string,
  ): Promise<Reply> {
    const headers = { 'content-type': mediaType };
    return this.send('PUT', `/v2/${repository}/manifests/${reference}`, { headers, body });
  }

  /** A new image of one config and one layer, its blobs pushed. */
  async image(repository: string, more: object = {}): Promise<{ readonly mediaType: string }> {
    const config = await this.pushBlob(repository, randomJson(), OCI_CONFIG);
    const layer = await this.pushBlob(repository);
    return {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: config.descriptor,
      layers: [layer.descriptor],
      ...more,
    } as { mediaType: string };
  }
}

export const index = (
  manifests: readonly Descriptor[],
  more: object = {},
): { readonly mediaType: string } =>
  Object.assign({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }, more);

export const withDigest = (location: string, digest: Digest): string =>
  `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`;

export function locationOf(headers: IncomingHttpHeaders): string {
  if (headers.location === undefined) throw new Error('the answer has no Location');
  return headers.location;
}

/** The codes of an error's body. */
export function codesOf({ headers, bytes }: Reply): string[] {
  if (!headers['content-type']?.startsWith('application/json'))
    throw new Error(`an error of type ${headers['content-type']}`);
  const { errors } = JSON.parse(bytes.toString()) as { errors: { code: string }[] };
  return errors.map(({ code }) => code);
}

export const jsonOf = ({ bytes }: Reply): unknown => JSON.parse(bytes.toString());

export const sha512 = (bytes: Uint8Array): Digest => `sha512:${hash('sha512', bytes)}`;

export const randomJson = (): Buffer =>
  Buffer.from(JSON.stringify({ random: randomBytes(8).toString('hex') }));

const pathOf = (url: string): string => {
  const { pathname, search } = new URL(url);
  return pathname + search;
};

const lengthOf = (body: Ask['body']): Record<string, number> =>
  body === undefined || body instanceof Uint8Array || typeof body === 'string'
    ? { 'content-length': Buffer.byteLength(body ?? '') }
    : {};
