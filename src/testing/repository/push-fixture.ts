import type { Descriptor } from '../../oci/descriptor.ts';
import type { BlobFixture, ImageFixture } from '../image-fixture.ts';
import type { Client } from './client.ts';

/** Pushes an image of a fixture, with nothing but plain requests. */
export async function pushFixture(
  client: Client,
  repository: string,
  { blobs }: BlobFixture,
  { descriptor, config, layers }: ImageFixture,
  tag: string,
): Promise<void> {
  const bytesOf = ({ digest }: Descriptor): Buffer => Buffer.from(blobs.get(digest)!);
  for (const blob of [config, ...layers])
    await client.pushBlob(repository, bytesOf(blob), blob.mediaType);
  const bytes = bytesOf(descriptor);
  const { status } = await client.putManifest(repository, tag, bytes, descriptor.mediaType);
  if (status !== 201) throw new Error(`PUT of a manifest: status ${status}`);
}
