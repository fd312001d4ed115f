import { listBuildSteps } from '../../db/build-steps.ts';
import type { Database } from '../../db/database.ts';
import { type ImageRecord, listImages } from '../../db/images.ts';
import { pushedBlobs } from '../../db/repositories.ts';
import { parseImageConfig } from '../../oci/config.ts';
import { type ChainId, chainIds, type Digest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';

/** What an image needs: nothing of it may be collected. */
export interface Needs {
  /** Indexes, manifests, configs and layers as stored. */
  readonly blobs: readonly Digest[];
  readonly chain: readonly ChainId[];
}

export function needsOf(record: ImageRecord): Needs {
  const manifests = record.manifests.map(({ descriptor, document }) => ({
    digest: descriptor.digest,
    ...parseManifest(document, descriptor.mediaType),
  }));
  const targets = [...record.references, ...record.repoDigests].map(({ target }) => target.digest);
  const blobs = manifests.flatMap(({ digest, config, layers }) =>
    [{ digest }, config].concat(layers).map((blob) => blob.digest),
  );
  return {
    blobs: [...new Set([...targets, ...blobs])],
    chain: chainIds(parseImageConfig(record.config).rootfs.diff_ids),
  };
}

/** Everything that some image needs, something that was pushed to the registry, or the next build. */
export function reachable(db: Database): {
  readonly blobs: Set<string>;
  readonly chains: Set<string>;
  /** Keys of unpacked layers that stay without a snapshot on them. */
  readonly layers: Set<string>;
} {
  const all = listImages(db).map(needsOf);
  const made = listBuildSteps(db).flatMap(({ layer }) => layer ?? []);
  return {
    blobs: new Set([
      ...all.flatMap(({ blobs }) => blobs),
      ...pushedBlobs(db),
      ...made.map(({ descriptor }) => descriptor.digest),
    ]),
    chains: new Set(all.flatMap(({ chain }) => chain)),
    layers: new Set(made.flatMap(({ diffId, chainId }) => [diffId, chainId])),
  };
}
