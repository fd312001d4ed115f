import { patchImage } from '../../image/patch.ts';
import type { Context } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import type { MutateOptions } from './derive.ts';
import { derive } from './derived.ts';

/** @see Engine.mutate */
export const mutate = (
  context: Context,
  name: string,
  options: MutateOptions = {},
): Promise<StoredImage> =>
  derive(context, { verb: 'mutate', name }, options, ({ image }) =>
    Promise.resolve(patchImage(image, options)),
  );
