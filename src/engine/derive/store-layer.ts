import { createHash } from 'node:crypto';
import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { compress } from '../../io/compress.ts';
import type { Layer } from '../../layer/layer.ts';
import type { DiffId } from '../../oci/digest.ts';
import { type ImageFormat, layerType } from '../../oci/media-type.ts';
import type { LayerCompression } from './derive.ts';
import type { Original } from './derived.ts';

interface StoreLayerOptions extends LayerCompression, Abortable {
  readonly format: ImageFormat;
}

/** Makes a layer of an archive: compresses it into a blob of the store while it comes. */
export async function storeLayer(
  { store, lease }: Pick<Original, 'store' | 'lease'>,
  tar: Bytes,
  { format, compression = 'gzip', level, signal }: StoreLayerOptions,
): Promise<Layer> {
  refuseZstdInDocker(format, compression);
  const hash = createHash('sha256');
  async function* hashed(): Bytes {
    for await (const chunk of tar) {
      hash.update(chunk);
      yield chunk;
    }
  }
  const { content } = store;
  const compressed = compress(hashed(), compression, { level, signal });
  const descriptor = await content.ingest(compressed, layerType(format, compression), { signal });
  lease.hold('blob', [descriptor.digest]);
  const diffId = `sha256:${hash.digest('hex')}` as DiffId;
  return { descriptor, diffId, open: (options) => content.fetch(descriptor, options) };
}

/** @throws FAILED_PRECONDITION since no reader of Docker's schema 2 need know zstd, and some do not */
export function refuseZstdInDocker(format: ImageFormat, compression: string | undefined): void {
  if (format === 'docker' && compression === 'zstd')
    throw new MicaError(
      'FAILED_PRECONDITION',
      'an image in the format docker cannot have layers compressed with zstd; use gzip, or `mica convert --format oci` first',
    );
}
