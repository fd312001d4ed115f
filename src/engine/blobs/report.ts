import { openContentStore } from '../../content/file-store.ts';
import { RecipeRows } from '../../content/recipe/recipe-rows.ts';
import type { Context } from '../context.ts';
import { isMakeable } from './drop.ts';
import { keepsTar, layerBlobs } from './layer-blobs.ts';
import { policyOf } from './policy.ts';
import type { LayerBlobsPolicy } from '../config.ts';
import type { DiffId, Digest } from '../../oci/digest.ts';

export interface LayerBlobsReport {
  readonly policy: LayerBlobsPolicy;
  readonly layers: readonly LayerBlobFacts[];
}

/** The compressed blob of a layer. */
export interface LayerBlobFacts {
  readonly digest: Digest;
  readonly diffId: DiffId;
  /** Of the blob, in bytes. */
  readonly size: number;
  /** Image IDs. */
  readonly usedBy: readonly Digest[];
  readonly state: 'kept' | 'dropped';
  /** Whether it can be made again: it was tried, and gave the same bytes; it cannot; nobody has tried. */
  readonly recipe: 'proven' | 'none' | 'unknown';
  /** Why there is no recipe. */
  readonly reason: string | undefined;
  /** Who made the blob, as far as can be told. */
  readonly compressor: string | undefined;
  /** What the recipe takes, in bytes. */
  readonly recipeSize: number;
  /** What making it again took when it was tried. */
  readonly milliseconds: number;
  /** Whether it is known from where to fetch it again. */
  readonly canFetch: boolean;
  /** It was pushed to the store's own registry, too, and is kept for that. */
  readonly isPushed: boolean;
}

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
