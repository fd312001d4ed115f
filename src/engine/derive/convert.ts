import { verified } from '../../content/verify.ts';
import { MicaError } from '../../errors.ts';
import { mutate } from '../../image/mutate.ts';
import { decompress } from '../../io/compress.ts';
import { each } from '../../io/each.ts';
import type { Layer } from '../../layer/layer.ts';
import { algorithmOf } from '../../oci/digest.ts';
import { compressionOf, formatOf, type ImageFormat, isForeignLayer } from '../../oci/media-type.ts';
import type { Context } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import type { ConvertOptions } from './derive.ts';
import { derive, type Original } from './derived.ts';
import { refuseZstdInDocker, storeLayer } from './store-layer.ts';

/** Layers compressed at once: the library has its own threads, others have work, too. */
const AT_ONCE = 2;

/** @see Engine.convert */
export const convert = (
  context: Context,
  name: string,
  options: ConvertOptions = {},
): Promise<StoredImage> =>
  derive(context, { verb: 'convert', name }, options, async (original) => {
    const { image } = original;
    const { format = formatOf(image.descriptor.mediaType), signal } = options;
    const converted = new Map<Layer, Layer>();
    await each(
      image.layers,
      AT_ONCE,
      async (layer, aborted) => {
        const its = await convertLayer(original, layer, { ...options, format, signal: aborted });
        converted.set(layer, its);
      },
      signal,
    );
    return mutate(image, { layers: image.layers.map((layer) => converted.get(layer)!), format });
  });

async function convertLayer(
  original: Original,
  layer: Layer,
  options: ConvertOptions & { readonly format: ImageFormat },
): Promise<Layer> {
  const { descriptor, diffId } = layer;
  const { format, level, signal } = options;
  const stored = compressionOf(descriptor.mediaType);
  const { compression = stored } = options;
  refuseZstdInDocker(format, compression);
  // What a foreign layer is, is told by whoever distributes it.
  const isAsWanted = compression === stored && (level === undefined || compression === 'none');
  if (isAsWanted || options.compression === undefined || isForeignLayer(descriptor.mediaType))
    return layer;
  const tar = decompress(verified(layer.open({ signal }), descriptor), { signal });
  const made = await storeLayer(original, tar, { ...options, format, compression });
  if (algorithmOf(diffId) === 'sha256' && made.diffId !== diffId)
    throw new MicaError(
      'DATA_LOSS',
      `layer ${descriptor.digest}: its tar hashes to ${made.diffId}, not to ${diffId}`,
    );
  return { ...made, diffId };
}
