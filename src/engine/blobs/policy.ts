import type { Database } from '../../db/database.ts';
import { getMeta, setMeta } from '../../db/meta.ts';
import { MicaError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { isLayerBlobsPolicy, type LayerBlobsPolicy } from '../config.ts';

/** What the store does with blobs of layers: what the configuration says, else what it was told. */
export function policyOf({ config }: Context, db: Database): LayerBlobsPolicy {
  const remembered = getMeta(db, 'layer-blobs');
  return config.layerBlobs ?? (isLayerBlobsPolicy(remembered) ? remembered : 'keep');
}

/** @see Engine.setLayerBlobs */
export async function setPolicy(context: Context, policy: LayerBlobsPolicy): Promise<void> {
  const { layerBlobs } = context.config;
  if (layerBlobs !== undefined && layerBlobs !== policy)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `the configuration says layer-blobs: ${layerBlobs}, which comes first; change it there`,
    );
  const { db } = await context.store();
  db.transaction(() => setMeta(db, 'layer-blobs', policy), { durable: true });
}
