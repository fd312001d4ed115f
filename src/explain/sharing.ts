import type { Descriptor } from '../oci/descriptor.ts';
import type { ChainId, DiffId, Digest } from '../oci/digest.ts';

/** What sharing is computed from; the engine's `StoredImage` is one. */
export interface LayeredImage {
  readonly id: Digest;
  /** Base layer first. */
  readonly layers: readonly ChainedLayer[];
}

export interface ChainedLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly chainId: ChainId;
}

/** The images that hold a layer with the same content, whatever lies below it; by diffID. */
export function layerUsers<Image extends LayeredImage>(
  images: readonly Image[],
): Map<DiffId, Image[]> {
  const users = new Map<DiffId, Image[]>();
  for (const image of images)
    for (const diffId of new Set(image.layers.map((layer) => layer.diffId))) {
      const known = users.get(diffId);
      if (known) known.push(image);
      else users.set(diffId, [image]);
    }
  return users;
}

/** For each layer of `image`, base first: the other images that hold it. */
export function sharedWith<Image extends LayeredImage>(
  image: Image,
  images: readonly Image[],
): Image[][] {
  const users = layerUsers(images);
  return image.layers.map(({ diffId }) =>
    (users.get(diffId) ?? []).filter(({ id }) => id !== image.id),
  );
}

/** A run of layers that the same images have, in the same place. */
export interface Trunk<Image extends LayeredImage> {
  /** Base layer first; empty only for images without any layer. */
  readonly layers: readonly Image['layers'][number][];
  /** How many layers lie below. */
  readonly depth: number;
  /** Images whose topmost layer is the last of this run. */
  readonly images: readonly Image[];
  /** What is built on this run. */
  readonly children: readonly Trunk<Image>[];
}

/**
 * All images as a forest: a trunk for the layers that several images really share from the base
 * up (equal chainIDs), a branch where they part. Images keep their order.
 *
 *     layerForest([{1,2,3}, {1,2,4}]) ≡ [ 1,2 ─┬─ 3 ]
 *                                             └─ 4
 */
export function layerForest<Image extends LayeredImage>(images: readonly Image[]): Trunk<Image>[] {
  const root: Step<Image> = { layer: undefined, images: [], next: new Map() };
  for (const image of images) {
    let step = root;
    for (const layer of image.layers) {
      let next = step.next.get(layer.chainId);
      if (!next) step.next.set(layer.chainId, (next = { layer, images: [], next: new Map() }));
      step = next;
    }
    step.images.push(image);
  }
  const bare =
    root.images.length > 0 ? [{ layers: [], depth: 0, images: root.images, children: [] }] : [];
  return [...bare, ...[...root.next.values()].map((step) => trunk(step, 0))];
}

/** One layer of the forest, before runs are joined. */
interface Step<Image extends LayeredImage> {
  readonly layer: Image['layers'][number] | undefined;
  readonly images: Image[];
  readonly next: Map<ChainId, Step<Image>>;
}

function trunk<Image extends LayeredImage>(first: Step<Image>, depth: number): Trunk<Image> {
  const layers: Image['layers'][number][] = [];
  let step = first;
  for (;;) {
    if (step.layer) layers.push(step.layer);
    const [only] = step.next.values();
    if (!only || step.next.size > 1 || step.images.length > 0) break;
    step = only;
  }
  const above = depth + layers.length;
  const children = [...step.next.values()].map((next) => trunk(next, above));
  return { layers, depth, images: step.images, children };
}
