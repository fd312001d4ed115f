import { createHash } from 'node:crypto';
import { recordProof } from '../../db/proven-layers.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { compress } from '../../io/compress.ts';
import type { Layer } from '../../layer/layer.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { DiffId } from '../../oci/digest.ts';
import { type ImageFormat, layerType } from '../../oci/media-type.ts';
import type { PackedForm } from '../../layer/pack.ts';
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
export async function storeNewLayer(
  place: Place,
  tar: Bytes,
  options: StoreLayerOptions,
): Promise<Layer> {
  const { store, lease } = place;
  const { form } = store.choice.driver;
  // Made on a copy of the tree below, by who has that.
  if (form === 'direct' || form === 'windows') return await storeLayer(place, tar, options);
  const { signal } = options;
  const { id, directory } = await store.layers.begin({ lease, signal });
  let kept = false;
  try {
    const { descriptor, facts } = await packInto(place, tar, { directory, form }, options);
    const { diffId, dependent } = facts;
    lease.hold('layer', [diffId]);
    if (!dependent) await store.layers.builtAs(id, diffId, facts);
    kept = !dependent;
    return layerOf(place, descriptor, diffId);
  } finally {
    if (!kept) await store.layers.abandon(id);
  }
}

interface Target {
  readonly directory: string;
  readonly form: PackedForm;
}

async function packInto(
  place: Place,
  tar: Bytes,
  { directory, form }: Target,
  options: StoreLayerOptions,
): Promise<{ readonly descriptor: Descriptor; readonly facts: LayerFacts }> {
  const { packArchive } = await import('../../layer/pack.ts');
  let descriptor: Descriptor | undefined;
  const tap = async (archive: Bytes): Promise<void> => {
    descriptor = await storeBlob(place, archive, options);
  };
  // Durable with the image.
  const packing = { keep: form, tap, durable: false, signal: options.signal };
  const facts = await packArchive(tar, directory, packing);
  return { descriptor: descriptor!, facts };
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
