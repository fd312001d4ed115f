import { createHash } from 'node:crypto';
import { verified } from '../content/verify.ts';
import { MicaError } from '../errors.ts';
import { indexBytes } from '../erofs/write.ts';
import type { Abortable } from '../io/bytes.ts';
import { decompress } from '../io/compress.ts';
import { Changeset } from '../layer/changeset/changeset.ts';
import type { Layer } from '../layer/layer.ts';
import { lowerOf } from '../layer/changeset/lower.ts';
import { noSink } from '../layer/changeset/sink.ts';
import { algorithmOf, hexOf } from '../oci/digest.ts';
import { TarReader } from '../tar/read.ts';
import { tarData, tarStream, type TarDevice } from '../union/tar-data.ts';
import type { UnionTree } from '../union/tree.ts';
import { openUnion } from '../union/union.ts';
import type { Image } from './image.ts';

export interface OpenTreeOptions extends Abortable {
  /** Only the `layers` lowest layers. Default: all. */
  readonly layers?: number | undefined;
}

/**
 * The files of an image that no store has unpacked: from an OCI layout, an archive, a registry.
 *
 * Reads every layer once, verified, and keeps what it learns about names and attributes in memory;
 * reading a file streams its layer again up to there. For more than a look, pull the image. The one
 * thing that cannot be read this way is a sparse file whose pieces are not whole blocks of 512 bytes.
 */
export async function openImageTree(
  image: Image,
  options: OpenTreeOptions = {},
): Promise<UnionTree> {
  const layers = image.layers.slice(0, options.layers);
  const indexes: Uint8Array[] = [];
  for (const layer of layers) indexes.push(await indexOf(layer, indexes, options));
  const deviceOf = (diffIdHex: string): TarDevice | undefined => {
    const layer = layers.find(({ diffId }) => tagOf(diffId) === diffIdHex);
    return layer && deviceOfLayer(layer);
  };
  return openUnion(
    layers.map((layer, at) => ({
      index: indexes[at]!,
      data: tarData(deviceOfLayer(layer), deviceOf),
    })),
    { os: image.config.os },
  );
}

/** What fits into the slot of a device. */
const tagOf = (diffId: Layer['diffId']): string => hexOf(diffId).slice(0, 64);

const deviceOfLayer = (layer: Layer): TarDevice =>
  tarStream(layer.descriptor.digest, (options) => decompress(layer.open(options)));

/** @param below the indexes of the layers below, base first */
async function indexOf(
  layer: Layer,
  below: readonly Uint8Array[],
  options: Abortable,
): Promise<Uint8Array> {
  const { descriptor, diffId } = layer;
  using lower = lowerOf(below);
  const changeset = new Changeset(noSink, { lower });
  const reader = new TarReader(changeset);
  const hash = createHash(algorithmOf(diffId));
  let size = 0;
  for await (const chunk of decompress(verified(layer.open(options), descriptor))) {
    hash.update(chunk);
    size += chunk.length;
    reader.write(chunk);
  }
  reader.end();
  const found = `${algorithmOf(diffId)}:${hash.digest('hex')}`;
  if (found !== diffId)
    throw new MicaError(
      'DATA_LOSS',
      `layer ${descriptor.digest}: its tar hashes to ${found}, not to ${diffId}`,
    );
  changeset.finish();
  return indexBytes(changeset.root, {
    devices: [{ tag: tagOf(diffId), size }, ...changeset.lowerDevices],
  });
}
