import { openContentStore } from '../../content/file-store.ts';
import { RecipeRows } from '../../content/recipe/recipe-rows.ts';
import type { Context } from '../context.ts';
import type { LayerBlobFacts, LayerBlobsReport } from '../engine.ts';
import { isMakeable } from './drop.ts';
import { keepsTar, layerBlobs } from './layer-blobs.ts';
import { policyOf } from './policy.ts';

/** @see Engine.layerBlobs */
export async function reportLayerBlobs(context: Context): Promise<LayerBlobsReport> {
  const db = await context.reading();
  await using content = await openContentStore(db);
  const recipes = new Map(new RecipeRows(db).all().map((facts) => [facts.digest, facts]));
  const makeable = isMakeable(db);
  const layers = layerBlobs(db).map((blob): LayerBlobFacts => {
    const { target, diffId, usedBy, layer, hasOrigin, isPushed } = blob;
    const recipe = recipes.get(target.digest);
    return {
      digest: target.digest,
      diffId,
      size: target.size,
      usedBy,
      state: content.isDropped(target.digest) ? 'dropped' : 'kept',
      recipe: makeable(blob) ? 'proven' : recipe?.reason !== undefined ? 'none' : 'unknown',
      reason: keepsTar(blob)
        ? recipe?.reason
        : layer === undefined
          ? 'the layer is not unpacked'
          : 'the driver does not keep the tar of layers',
      compressor: recipe?.compressor,
      recipeSize: recipe?.size ?? 0,
      milliseconds: recipe?.milliseconds ?? 0,
      canFetch: hasOrigin && layer !== undefined && !isPushed,
      isPushed,
    };
  });
  return { policy: policyOf(context, db), layers };
}
