import { createHash } from 'node:crypto';
import { recordProof } from '../../db/proven-layers.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { compress } from '../../io/compress.ts';
import { archiveOfChanges } from '../../layer/diff/archive.ts';
import type { Changes } from '../../layer/diff/change.ts';
import type { LayerTarOptions } from '../../layer/diff/tar.ts';
import type { Layer } from '../../layer/layer.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { DiffId } from '../../oci/digest.ts';
import { type ImageFormat, layerType } from '../../oci/media-type.ts';
import type { PackingOptions } from '../../layer/pack.ts';
import type { LayerFacts } from '../../snapshot/driver.ts';
import type { LayerCompression } from './derive.ts';
import type { Original } from './derived.ts';

interface StoreLayerOptions extends LayerCompression, Abortable {
  readonly format: ImageFormat;
}

type Place = Pick<Original, 'store' | 'lease'>;

/** Makes a layer of an archive: compresses it into a blob of the store while it comes. */
export async function storeLayer(
  place: Place,
  tar: Bytes,
  options: StoreLayerOptions,
): Promise<Layer> {
  const hash = createHash('sha256');
  async function* hashed(): Bytes {
    for await (const chunk of tar) {
      hash.update(chunk);
      yield chunk;
    }
  }
  const descriptor = await storeBlob(place, hashed(), options);
  return layerOf(place, descriptor, `sha256:${hash.digest('hex')}` as DiffId);
}

/**
 * The same of an archive that was made here, and keeps it unpacked, too: both in one pass, so that it
 * is neither inflated nor read again when its image is published.
 */
export const storeNewLayer = (
  place: Place,
  tar: Bytes,
  options: StoreLayerOptions,
): Promise<Layer> =>
  storePacked(place, options, {
    archive: () => tar,
    pack: async (...target) => (await import('../../layer/pack.ts')).packArchive(tar, ...target),
  });

/** The same of changes: no archive of them is read. */
export const storeChanges = (
  place: Place,
  changes: Changes,
  options: StoreLayerOptions & LayerTarOptions,
): Promise<Layer> => {
  const { sourceDateEpoch } = options;
  return storePacked(place, options, {
    archive: () => archiveOfChanges(changes, options),
    pack: async (directory, packing) => {
      const { packChanges } = await import('../../layer/pack.ts');
      return packChanges(changes, directory, { ...packing, sourceDateEpoch });
    },
  });
};

interface NewLayer {
  readonly archive: () => Bytes;
  readonly pack: (directory: string, options: PackingOptions) => Promise<LayerFacts>;
}

async function storePacked(
  place: Place,
  options: StoreLayerOptions,
  { archive, pack }: NewLayer,
): Promise<Layer> {
  const {
    store: { choice, layers },
    lease,
  } = place;
  const { form } = choice.driver;
  // Made on a copy of the tree below, by who has that.
  if (form === 'direct' || form === 'windows') return await storeLayer(place, archive(), options);
  const { signal } = options;
  const { id, directory } = await layers.begin({ lease, signal });
  let kept = false;
  try {
    let descriptor: Descriptor | undefined;
    const tap = async (tar: Bytes): Promise<void> => {
      descriptor = await storeBlob(place, tar, options);
    };
    // Durable with the image.
    const facts = await pack(directory, { keep: form, tap, durable: false, signal });
    const { diffId, dependent } = facts;
    lease.hold('layer', [diffId]);
    if (!dependent) await layers.builtAs(id, diffId, facts);
    kept = !dependent;
    return layerOf(place, descriptor!, diffId);
  } finally {
    if (!kept) await layers.abandon(id);
  }
}

async function storeBlob(
  { store, lease }: Place,
  tar: Bytes,
  { format, compression = 'gzip', level, signal }: StoreLayerOptions,
): Promise<Descriptor> {
  refuseZstdInDocker(format, compression);
  const { content } = store;
  const compressed = compress(tar, compression, { level, signal });
  const descriptor = await content.ingest(compressed, layerType(format, compression), { signal });
  lease.hold('blob', [descriptor.digest]);
  return descriptor;
}

function layerOf({ store }: Place, descriptor: Descriptor, diffId: DiffId): Layer {
  recordProof(store.db, descriptor.digest, diffId);
  return { descriptor, diffId, open: (options) => store.content.fetch(descriptor, options) };
}

/** @throws FAILED_PRECONDITION since no reader of Docker's schema 2 need know zstd, and some do not */
export function refuseZstdInDocker(format: ImageFormat, compression: string | undefined): void {
  if (format === 'docker' && compression === 'zstd')
    throw new MicaError(
      'FAILED_PRECONDITION',
      'an image in the format docker cannot have layers compressed with zstd; use gzip, or `mica convert --format oci` first',
    );
}
