import type { Digest } from '../oci/digest.ts';
import type { RegistryBackend, StoredManifest } from './backend/backend.ts';
import { MAX_MANIFEST_SIZE } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-type.ts';
import { readDocument } from './document.ts';
import { type Exchange, sendJson } from './exchange.ts';
import { readManifest } from './manifests.ts';

/**
 * The manifests whose subject is `digest`, as an index; those of one type with `?artifactType=`.
 * An index is a manifest, so it keeps below the size that every client can read: the rest is on
 * the pages that `Link` names.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export async function listReferrers(
  exchange: Exchange,
  backend: RegistryBackend,
  name: string,
  digest: Digest,
): Promise<void> {
  const artifactType = exchange.query.get('artifactType') || undefined;
  const last = exchange.query.get('last') ?? '';
  const found = (await backend.referrers(name, digest))
    .filter((manifest) => manifest.digest > last)
    .sort((a, b) => (a.digest < b.digest ? -1 : 1));

  const manifests: Referrer[] = [];
  let [size, more] = [0, false];
  for (const manifest of found) {
    const referrer = await describe(manifest);
    if (!referrer || (artifactType && referrer.artifactType !== artifactType)) continue;
    size += Buffer.byteLength(JSON.stringify(referrer)) + 1;
    more = size > MAX_PAGE && manifests.length > 0;
    if (more) break;
    manifests.push(referrer);
  }
  const next = new URLSearchParams({
    last: manifests.at(-1)?.digest ?? '',
    ...(artifactType && { artifactType }),
  });
  const document = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  sendJson(exchange, 200, document, {
    'Content-Type': OCI_INDEX,
    ...(more && { Link: `</v2/${name}/referrers/${digest}?${next.toString()}>; rel="next"` }),
    ...(artifactType && { 'OCI-Filters-Applied': 'artifactType' }),
  });
}

const MAX_PAGE = MAX_MANIFEST_SIZE - 1024;

interface Referrer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** `undefined` when the manifest has just been deleted. */
async function describe(manifest: StoredManifest): Promise<Referrer | undefined> {
  const bytes = await readManifest(manifest);
  if (!bytes) return undefined;
  const { mediaType, digest, size } = manifest;
  const { artifactType, annotations } = readDocument(bytes, mediaType);
  return { mediaType, digest, size, artifactType, annotations };
}
