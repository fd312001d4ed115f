import type { Database } from '../../db/database.ts';
import { listImages } from '../../db/images.ts';
import type { Digest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { parseReference, type Reference } from '../../oci/reference.ts';

/** Registries take a while to look; what is not in the first few is as quickly sent. */
const MAX_CANDIDATES = 2;

/**
 * Tells where else in the registry of `reference` a blob may be: in repositories that its images
 * were pulled from or pushed to.
 */
export function mountable(db: Database, reference: Reference): (blob: Digest) => readonly string[] {
  let known: Map<Digest, Set<string>> | undefined;
  return (blob) => [...((known ??= paths(db, reference)).get(blob) ?? [])].slice(0, MAX_CANDIDATES);
}

function paths(db: Database, { domain, path }: Reference): Map<Digest, Set<string>> {
  const known = new Map<Digest, Set<string>>();
  for (const { repoDigests, manifests } of listImages(db))
    for (const { repository, manifest } of repoDigests) {
      const sibling = parseReference(repository);
      const found = manifests.find(({ descriptor }) => descriptor.digest === manifest);
      if (sibling.domain !== domain || sibling.path === path || found === undefined) continue;
      const { layers, config } = parseManifest(found.document, found.descriptor.mediaType);
      for (const { digest } of [config, ...layers])
        known.set(digest, (known.get(digest) ?? new Set()).add(sibling.path));
    }
  return known;
}
