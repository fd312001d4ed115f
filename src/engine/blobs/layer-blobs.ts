import type { Database } from '../../db/database.ts';
import { listImages } from '../../db/images.ts';
import { pushedBlobs } from '../../db/repositories.ts';
import { parseImageConfig } from '../../oci/config.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { chainIds, type DiffId, type Digest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import type { LayerRecord } from '../../snapshot/layer-rows.ts';
import { physicalLayers } from '../images.ts';
import { imageOrigins } from './origins.ts';

/** The blob of a layer that some image has. */
export interface LayerBlob {
  readonly target: Descriptor;
  readonly diffId: DiffId;
  /** Image IDs. */
  readonly usedBy: readonly Digest[];
  /** The unpacked layer; `undefined`: some image that has the blob has not unpacked it. */
  readonly layer: LayerRecord | undefined;
  /** Whether each image that has the blob says where it was pulled from. */
  readonly hasOrigin: boolean;
  /** Part of something that was pushed to our own registry. */
  readonly isPushed: boolean;
}

/** All of them, by digest. */
export function layerBlobs(db: Database): LayerBlob[] {
  const pushed = new Set([...pushedBlobs(db), ...linkedBlobs(db)]);
  const found = new Map<Digest, LayerBlob>();
  for (const record of listImages(db)) {
    const { diff_ids: diffIds } = parseImageConfig(record.config).rootfs;
    const unpacked = physicalLayers(db, chainIds(diffIds).at(-1));
    const origins = new Set(imageOrigins(record).map(({ target }) => target.digest));
    for (const { descriptor, document } of record.manifests)
      for (const [at, target] of parseManifest(document, descriptor.mediaType).layers.entries()) {
        const before = found.get(target.digest);
        const layer = unpacked[at];
        const isReady = layer?.state === 'ready' && layer.facts !== undefined;
        found.set(target.digest, {
          target: before?.target ?? target,
          diffId: diffIds[at]!,
          usedBy: [...new Set([...(before?.usedBy ?? []), record.id])],
          layer:
            before !== undefined && before.layer === undefined
              ? undefined
              : isReady
                ? layer
                : undefined,
          hasOrigin:
            (before?.hasOrigin ?? true) && origins.has(target.digest) && target.urls === undefined,
          isPushed: pushed.has(target.digest),
        });
      }
  }
  return [...found.values()];
}

const linkedBlobs = (db: Database): Digest[] =>
  db
    .all<{ digest: Digest }>('select distinct digest from registry_link')
    .map(({ digest }) => digest);

/** Whether the tar is kept that a recipe begins with. */
export const keepsTar = ({ layer }: LayerBlob): boolean => layer?.form === 'tar';
