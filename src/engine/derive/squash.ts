import { MicaError } from '../../errors.ts';
import * as images from '../../image/mutate.ts';
import { squashedTar } from '../../image/squash/tar.ts';
import { formatOf } from '../../oci/media-type.ts';
import type { Context } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { unionLayersOf } from '../tree.ts';
import type { FlattenOptions, SquashOptions } from './derive.ts';
import { derive, type Original } from './derived.ts';
import { storeNewLayer } from './store-layer.ts';

/** @see Engine.squash */
export const squash = (
  context: Context,
  name: string,
  options: SquashOptions = {},
): Promise<StoredImage> =>
  derive(context, { verb: 'squash', name }, options, async (original) => {
    const { from = 1 } = options;
    const made = await squashLayers(original, { ...options, from }, 'mica squash');
    return images.squash(original.image, from - 1, made);
  });

/** @see Engine.flatten */
export const flatten = (
  context: Context,
  name: string,
  options: FlattenOptions = {},
): Promise<StoredImage> =>
  derive(context, { verb: 'flatten', name }, options, async (original) => {
    const made = await squashLayers(original, { ...options, from: 1 }, 'mica flatten');
    return images.flatten(original.image, made);
  });

async function squashLayers(
  original: Original,
  options: SquashOptions & { readonly from: number },
  createdBy: string,
): Promise<images.NewLayer> {
  const { store, stored, image, created } = original;
  const { from, signal } = options;
  const count = image.layers.length;
  if (image.config.os === 'windows')
    throw new MicaError(
      'FAILED_PRECONDITION',
      'layers of a Windows image cannot be merged: only Windows can merge their registry hives',
    );
  if (!Number.isInteger(from) || from < 1 || from > count)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `the image has ${count} layers; there is no layer ${from} to begin with`,
    );
  const tar = squashedTar(unionLayersOf(store.db, stored), { from: from - 1, signal });
  const format = formatOf(image.descriptor.mediaType);
  const layer = await storeNewLayer(original, tar, { ...options, format });
  const comment = `layers ${from} to ${count} of ${stored.manifestDescriptor.digest}`;
  return { layer, step: { created, created_by: createdBy, comment } };
}
