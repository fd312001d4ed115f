import type { StoredImage, StoredLayer } from '../../../engine/stored-image.ts';
import type { Trunk } from '../../../explain/sharing.ts';
import { escape } from '../escape.ts';
import { imageName, shortId, shortName } from '../name.ts';
import { count, size } from '../quantity.ts';
import { cut } from '../table.ts';

export interface TreeOptions {
  /** Every layer on a line of its own, instead of every run of layers that the same images have. */
  readonly layers: boolean;
  readonly columns?: number | undefined;
}

/** All images as a forest: where two part, their lines do. */
export function renderForest(forest: readonly Trunk<StoredImage>[], options: TreeOptions): string {
  return forest.map((trunk) => [...draw(trunk, '', '', options)].join('')).join('');
}

/** @param first margin of its first line; @param rest of all others */
function* draw(
  trunk: Trunk<StoredImage>,
  first: string,
  rest: string,
  options: TreeOptions,
): Generator<string> {
  const { children, images } = trunk;
  const { columns } = options;
  const line = (text: string): string =>
    `${columns === undefined ? escape(text) : cut(escape(text), columns)}\n`;
  const stem = children.length > 0 ? '│ ' : '  ';
  const layers = options.layers ? layerLines(trunk) : [runLine(trunk)];
  for (const [index, text] of layers.entries()) yield line((index === 0 ? first : rest) + text);
  for (const image of images) yield line(`${rest}${stem}▶ ${namesOf(image)}`);
  for (const [index, child] of children.entries()) {
    const last = index === children.length - 1;
    yield* draw(child, `${rest}${last ? '└─' : '├─'}`, `${rest}${last ? '  ' : '│ '}`, options);
  }
}

/** `● layers 1 to 2: 60.4MB  66ba79ca5213`: all of them, by the topmost. */
function runLine({ layers, depth }: Trunk<StoredImage>): string {
  const bytes = layers.reduce((sum, layer) => sum + layer.bytes, 0);
  const top = layers.at(-1);
  if (!top) return '● no layers';
  const numbers =
    layers.length === 1 ? `layer ${depth + 1}` : `layers ${depth + 1} to ${depth + layers.length}`;
  return `● ${numbers}: ${size(bytes)}  ${shortId(top.diffId)}`;
}

const layerLines = ({ layers, depth }: Trunk<StoredImage>): string[] =>
  layers.length === 0
    ? ['● no layers']
    : layers.map(
        ({ diffId, bytes }: StoredLayer, index) =>
          `● layer ${depth + index + 1}: ${size(bytes)}  ${shortId(diffId)}`,
      );

function namesOf(image: StoredImage): string {
  const names = image.references.map(shortName);
  return names.length === 0 ? imageName(image) : `${names.join(', ')}  (${shortId(image.id)})`;
}

/** The same for programs. */
export const forestJson = (forest: readonly Trunk<StoredImage>[]): object[] =>
  forest.map(({ layers, depth, images, children }) => ({
    layers: layers.map(({ diffId, chainId, bytes }, index) => ({
      layer: depth + index + 1,
      diffId,
      chainId,
      unpacked: bytes,
    })),
    images: images.map(({ id, references }) => ({ id, references })),
    children: forestJson(children),
  }));

/** What sharing saves, in a sentence. */
export function renderSaving(images: readonly StoredImage[]): string {
  const all = images.flatMap(({ layers }) => layers);
  const once = new Map(all.map((layer) => [layer.diffId, layer]));
  const sum = (layers: Iterable<StoredLayer>): number =>
    [...layers].reduce((total, { bytes }) => total + bytes, 0);
  const [shared, separate] = [sum(once.values()), sum(all)];
  return `${count(images.length, 'image')}, ${count(once.size, 'layer')}: ${size(shared)} on disk once, ${size(separate)} if nothing were shared\n`;
}
