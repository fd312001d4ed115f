import type { Layer } from '../layer/layer.ts';
import type { History, ImageConfig } from '../oci/config.ts';
import { formatOf, type ImageFormat, layerTypeIn } from '../oci/media-type.ts';
import { type ComposedImage, composeImage } from './compose.ts';
import { fittedHistory, stepsBelow } from './history.ts';
import type { Image } from './image.ts';

/** What is different in an image made of another. What is absent stays as it is. */
export interface ImageChanges {
  /** But for `rootfs`, which follows from the layers. */
  readonly config?: ImageConfig | undefined;
  /** Base layer first. */
  readonly layers?: readonly Layer[] | undefined;
  /** Of the manifest, all of them; Docker's has none. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly format?: ImageFormat | undefined;
}

/** The image with these changes; fields that nobody knows are kept. The same changes give the same bytes. */
export function mutate(image: Image, changes: ImageChanges = {}): ComposedImage {
  const { config = image.config, format = formatOf(image.descriptor.mediaType) } = changes;
  const annotations = changes.annotations ?? image.manifest.annotations;
  const layers = (changes.layers ?? image.layers).map((layer) => inFormat(layer, format));
  const isAnnotated = format === 'oci' && Object.keys(annotations ?? {}).length > 0;
  const rootfs = { ...config.rootfs, diff_ids: layers.map(({ diffId }) => diffId) };
  return composeImage({ ...config, rootfs }, layers, {
    format,
    annotations: isAnnotated ? annotations : undefined,
  });
}

function inFormat(layer: Layer, format: ImageFormat): Layer {
  const { descriptor } = layer;
  const mediaType = layerTypeIn(format, descriptor.mediaType);
  if (mediaType === descriptor.mediaType) return layer;
  return { ...layer, descriptor: { ...descriptor, mediaType } };
}

/** A layer that is made, and what the history says about it. */
export interface NewLayer {
  readonly layer: Layer;
  readonly step: History;
}

/** The image with layers on top, each with its step in the history. */
export function append(image: Image, added: readonly NewLayer[]): ComposedImage {
  const history = [...fittedHistory(image.config), ...added.map(({ step }) => step)];
  return mutate(image, {
    config: { ...image.config, created: history.at(-1)?.created ?? image.config.created, history },
    layers: [...image.layers, ...added.map(({ layer }) => layer)],
  });
}

/**
 * The image with the layer `squashed` in the place of all from `from` up. Their steps remain in the
 * history, as such that made no layer.
 */
export function squash(
  image: Image,
  from: number,
  { layer: squashed, step }: NewLayer,
): ComposedImage {
  const fitted = fittedHistory(image.config);
  const below = stepsBelow(fitted, from);
  const steps = fitted.map((one, at) => (at < below ? one : withoutLayer(one)));
  const history = [...steps, step];
  return mutate(image, {
    config: { ...image.config, created: step.created, history },
    layers: [...image.layers.slice(0, from), squashed],
  });
}

const withoutLayer = (step: History): History => ({ ...step, empty_layer: true });

/** The image as one layer, and nothing of how it came to be. */
export function flatten(image: Image, { layer, step }: NewLayer): ComposedImage {
  const { container: _container, parent: _parent, comment: _comment, ...config } = image.config;
  return mutate(image, {
    config: { ...config, created: step.created, history: [step] },
    layers: [layer],
  });
}
