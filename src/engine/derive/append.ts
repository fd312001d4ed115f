import { statSync } from 'node:fs';
import { readBytes } from '../../content/blob-files.ts';
import { withoutProgramCompression } from '../../io/by-program.ts';
import * as images from '../../image/mutate.ts';
import type { Layer } from '../../layer/layer.ts';
import { compressionOf, formatOf } from '../../oci/media-type.ts';
import { fromNode } from '../../sys/errno.ts';
import type { Context } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { layerOfBlob } from '../publish/layer-of-blob.ts';
import { unionOf } from '../tree.ts';
import type { AppendOptions } from './derive.ts';
import { derive, type Original } from './derived.ts';
import { directoryTar } from './directory-layer.ts';
import { refuseZstdInDocker, storeLayer, storeNewLayer } from './store-layer.ts';
import { checkWindowsLayer, windowsDirectoryTar } from './windows-layer.ts';

/** @see Engine.append */
export const append = (
  context: Context,
  name: string,
  sources: readonly string[],
  options: AppendOptions = {},
): Promise<StoredImage> =>
  derive(context, { verb: 'append to', name }, options, async (original) => {
    const { sourceDateEpoch } = context.config;
    const added: images.NewLayer[] = [];
    for (const source of sources) {
      const layer = await layerFrom(original, source, { sourceDateEpoch, ...options });
      const { created } = original;
      added.push({ layer, step: { created, created_by: 'mica append', comment: options.message } });
    }
    return images.append(original.image, added);
  });

type LayerOptions = AppendOptions & { readonly sourceDateEpoch: number | undefined };

async function layerFrom(
  original: Original,
  source: string,
  options: LayerOptions,
): Promise<Layer> {
  if (!isDirectory(source)) return layerFromArchive(original, source, options);
  const { store, stored, image } = original;
  const format = formatOf(image.descriptor.mediaType);
  if (isForWindows(original)) {
    const tar = windowsDirectoryTar(source, { ...options, isBase: isEmpty(original) });
    return await storeLayer(original, tar, { ...options, format });
  }
  await using tree = unionOf(store.db, stored);
  const tar = directoryTar(source, tree, options);
  return await storeNewLayer(original, tar, { ...options, format });
}

/** One that is compressed is a layer's blob already, and stays what it is. */
async function layerFromArchive(
  original: Original,
  source: string,
  options: LayerOptions,
): Promise<Layer> {
  const { store, lease, image } = original;
  const { signal } = options;
  const format = formatOf(image.descriptor.mediaType);
  const bytes = withoutProgramCompression(readBytes(source, { signal }), { signal });
  const blob = await store.content.ingest(bytes, '', { signal });
  lease.hold('blob', [blob.digest]);
  const layer = await layerOfBlob(store, blob, { signal });
  if (isForWindows(original))
    await checkWindowsLayer(layer, source, { signal, isBase: isEmpty(original) });
  const compression = compressionOf(layer.descriptor.mediaType);
  if (compression === 'none')
    return await storeLayer(original, layer.open({ signal }), { ...options, format });
  refuseZstdInDocker(format, compression);
  return layer;
}

const isForWindows = ({ image }: Original): boolean => image.config.os === 'windows';

const isEmpty = ({ image }: Original): boolean => image.layers.length === 0;

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw fromNode(error);
  }
}
