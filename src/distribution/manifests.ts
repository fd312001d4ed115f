import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isCode } from '../errors.ts';
import { algorithmOf, type Digest, isDigest } from '../oci/digest.ts';
import type { RegistryBackend, RegistryWriter, StoredManifest } from './backend/backend.ts';
import { MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import { type ManifestDocument, readDocument } from './document.ts';
import { type Exchange, readBody, Refusal, refuseUsed, sendEmpty } from './exchange.ts';
import { isTag } from './router.ts';

/** GET or HEAD of a manifest, as it was pushed; the `Accept` header changes nothing, as the specification allows. */
export async function getManifest(
  exchange: Exchange,
  backend: RegistryBackend,
  name: string,
  reference: string,
): Promise<void> {
  const { request, response } = exchange;
  const manifest = await find(backend, name, reference);
  if (!manifest) throw unknown(name, reference);
  const etag = `"${manifest.digest}"`;
  const headers = { 'Docker-Content-Digest': manifest.digest, ETag: etag };
  if (request.headers['if-none-match'] === etag) return sendEmpty(exchange, 304, headers);
  const head = {
    ...headers,
    'Content-Type': manifest.mediaType,
    'Content-Length': manifest.size,
  };
  if (request.method === 'HEAD') {
    response.writeHead(200, head).end();
    return;
  }
  const bytes = await readManifest(manifest);
  if (!bytes) throw unknown(name, reference);
  response.writeHead(200, head).end(bytes);
}

/** PUT of a manifest by tag or by digest: nothing is stored unless all it references is here. */
export async function putManifest(
  exchange: Exchange,
  backend: RegistryBackend,
  writer: RegistryWriter,
  name: string,
  reference: string,
): Promise<void> {
  if (!isDigest(reference) && !isTag(reference))
    throw new Refusal(400, 'MANIFEST_INVALID', `${JSON.stringify(reference)} is not a tag`);
  const bytes = await readBody(exchange, MAX_MANIFEST_SIZE);
  const digest = digestOf(bytes, reference);
  const document = readDocument(bytes, exchange.request.headers['content-type']);
  await checkReferences(backend, name, document);
  const { mediaType, subject } = document;
  const references = [...document.blobs, ...document.manifests].map((target) => target.digest);
  const pushed = { digest, size: bytes.byteLength, mediaType, bytes, references, subject };
  await writer
    .putManifest(name, pushed, isDigest(reference) ? undefined : reference)
    .catch((error: unknown) => {
      if (!isCode(error, 'NOT_FOUND')) throw error;
      throw new Refusal(404, 'MANIFEST_BLOB_UNKNOWN', error.message);
    });
  sendEmpty(exchange, 201, {
    Location: `/v2/${name}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(subject && { 'OCI-Subject': subject }),
  });
}

/** DELETE of a tag, or of a manifest with all its tags. */
export async function deleteManifest(
  exchange: Exchange,
  writer: RegistryWriter,
  name: string,
  reference: string,
): Promise<void> {
  const deleted = isDigest(reference)
    ? await refuseUsed(writer.deleteManifest(name, reference))
    : isTag(reference) && (await refuseUsed(writer.deleteTag(name, reference)));
  if (!deleted) throw unknown(name, reference);
  sendEmpty(exchange, 202);
}

/** The bytes of a stored manifest; `undefined` when it has just been deleted. */
export const readManifest = ({ path }: StoredManifest): Promise<Uint8Array | undefined> =>
  readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });

/** A reference that is no tag cannot name anything: absent, not an error. */
const find = async (
  backend: RegistryBackend,
  name: string,
  reference: string,
): Promise<StoredManifest | undefined> =>
  isDigest(reference) || isTag(reference) ? await backend.manifest(name, reference) : undefined;

const unknown = (name: string, reference: string): Refusal =>
  new Refusal(404, 'MANIFEST_UNKNOWN', `repository ${name} holds no manifest ${reference}`);

function digestOf(bytes: Uint8Array, reference: string): Digest {
  if (!isDigest(reference)) return `sha256:${hash('sha256', bytes)}`;
  const algorithm = algorithmOf(reference);
  const found: Digest = `${algorithm}:${hash(algorithm, bytes)}`;
  if (found === reference) return found;
  throw new Refusal(400, 'DIGEST_INVALID', `the manifest hashes to ${found}, not to ${reference}`);
}

async function checkReferences(
  backend: RegistryBackend,
  name: string,
  { blobs, manifests }: ManifestDocument,
): Promise<void> {
  for (const target of blobs) checkReference(name, target, await backend.blob(name, target.digest));
  for (const target of manifests)
    checkReference(name, target, await backend.manifest(name, target.digest));
}

function checkReference(
  name: string,
  { digest, size }: { digest: Digest; size: number },
  found: { size: number } | undefined,
): void {
  if (!found)
    throw new Refusal(
      404,
      'MANIFEST_BLOB_UNKNOWN',
      `repository ${name} does not hold ${digest}; push it before the manifest that names it`,
    );
  if (found.size !== size)
    throw new Refusal(
      400,
      'MANIFEST_INVALID',
      `the manifest says that ${digest} has ${size} bytes; it has ${found.size}`,
    );
}
