import { DroppedRows } from '../../content/dropped-rows.ts';
import type { Database } from '../../db/database.ts';
import { listImages } from '../../db/images.ts';
import { parseImageConfig } from '../../oci/config.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { DiffId } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';

/** A blob that a layer was pulled as, and where it can be had again. */
export interface BlobOrigin {
  readonly target: Descriptor;
  /** e.g. `docker.io/library/redis` */
  readonly repositories: Set<string>;
}

/** The blobs of each layer of all images: several where it was pushed compressed differently. */
export function originsOf(db: Database): Map<DiffId, BlobOrigin[]> {
  const known = new Map<string, BlobOrigin & { readonly diffId: DiffId }>();
  for (const { config, manifests, repoDigests } of listImages(db)) {
    const diffIds = parseImageConfig(config).rootfs.diff_ids;
    for (const { descriptor, document } of manifests)
      for (const [at, target] of parseManifest(document, descriptor.mediaType).layers.entries()) {
        const diffId = diffIds[at]!;
        const key = `${diffId} ${target.digest}`;
        const origin = known.get(key) ?? { diffId, target, repositories: new Set() };
        for (const { repository } of repoDigests) origin.repositories.add(repository);
        known.set(key, origin);
      }
  }
  // What a dropped blob was pulled as may have gone.
  const dropped = new Map(new DroppedRows(db).list().map((blob) => [blob.digest, blob.origins]));
  for (const { target, repositories } of known.values())
    for (const repository of dropped.get(target.digest) ?? []) repositories.add(repository);
  return Map.groupBy(known.values(), ({ diffId }) => diffId);
}
