import { hash } from 'node:crypto';
import { MicaError } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, sha256 } from '../oci/digest.ts';
import { type Index, type Manifest, parseIndex, parseManifest } from '../oci/manifest.ts';
import { isIndex, isManifest, OCI_INDEX } from '../oci/media-type.ts';
import { shown } from './http/failure.ts';
import { referrersTag, taggedReferrers } from './list.ts';
import type { Route } from './route.ts';

/** Uploads a document under a tag or its digest, and makes it findable from its subject. */
export async function pushManifest(
  route: Route,
  target: Descriptor,
  reference: string,
  bytes: Uint8Array,
  { signal }: Abortable,
): Promise<void> {
  const digest = `${algorithmOf(target.digest)}:${hash(algorithmOf(target.digest), bytes)}`;
  if (digest !== target.digest || bytes.byteLength !== target.size)
    throw new MicaError('DATA_LOSS', `the manifest to push is ${digest}, not ${target.digest}`);
  const response = await route.request({
    method: 'PUT',
    to: `manifests/${reference}`,
    scopes: [route.scope('pull,push')],
    headers: { 'content-type': target.mediaType, 'content-length': String(bytes.byteLength) },
    body: () => bytes,
    target,
    signal,
  });
  await response.body.discard();
  const told = response.header('docker-content-digest');
  if (told?.startsWith('sha256:') && told !== sha256(bytes))
    throw new MicaError('DATA_LOSS', `PUT ${shown(response.url)}: the registry stored ${told}`);
  const document = parse(bytes, target.mediaType);
  // The registry confirms a subject if it lists referrers; otherwise listing them is up to us.
  if (document?.subject && response.header('oci-subject') === undefined)
    await listUnderTag(route, document.subject, describe(target, document), { signal });
}

function parse(bytes: Uint8Array, mediaType: string): Manifest | Index | undefined {
  if (isManifest(mediaType)) return parseManifest(bytes, mediaType);
  return isIndex(mediaType) ? parseIndex(bytes, mediaType) : undefined;
}

function describe({ mediaType, digest, size }: Descriptor, document: Manifest | Index): Descriptor {
  const { annotations } = document;
  const artifactType =
    document.artifactType || ('config' in document ? document.config.mediaType : undefined);
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  };
}

/** Two clients that do this at once lose one entry: the specification has no better way. */
async function listUnderTag(
  route: Route,
  subject: Descriptor,
  referrer: Descriptor,
  options: Abortable,
): Promise<void> {
  const listed = await taggedReferrers(route, subject.digest, options.signal);
  if (listed.some(({ digest }) => digest === referrer.digest)) return;
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...listed, referrer] };
  const bytes = Buffer.from(JSON.stringify(index));
  const target = { mediaType: OCI_INDEX, digest: sha256(bytes), size: bytes.byteLength };
  await pushManifest(route, target, referrersTag(subject.digest), bytes, options);
}
