import { createHash } from 'node:crypto';
import { readBytes } from '../../content/blob-files.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { decompress } from '../../io/compress.ts';
import { SNIFF_LENGTH, sniffCompression } from '../../io/compression.ts';
import type { Layer } from '../../layer/layer.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { DiffId } from '../../oci/digest.ts';
import { OCI_LAYER } from '../../oci/media-type.ts';
import type { Store } from '../context.ts';

/** The layer that a blob of the store is, found out from its bytes; by OCI's media types. */
export async function layerOfBlob(
  { content }: Store,
  { digest, size }: Descriptor,
  { signal }: Abortable,
): Promise<Layer> {
  const path = content.path(digest);
  let compression: ReturnType<typeof sniffCompression> = 'none';
  for await (const chunk of readBytes(path, { signal })) {
    compression = sniffCompression(chunk.subarray(0, SNIFF_LENGTH));
    break;
  }
  const mediaType = compression === 'none' ? OCI_LAYER : `${OCI_LAYER}+${compression}`;
  const descriptor = { mediaType, digest, size };
  const open = (rest: { readonly signal?: AbortSignal | undefined } = {}): Bytes =>
    content.fetch(descriptor, rest);
  if (compression === 'none') return { descriptor, diffId: digest as DiffId, open };
  const hash = createHash('sha256');
  for await (const chunk of decompress(open({ signal }))) hash.update(chunk);
  return { descriptor, diffId: `sha256:${hash.digest('hex')}` as DiffId, open };
}
