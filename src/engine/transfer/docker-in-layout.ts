import type { Descriptor } from '../../oci/descriptor.ts';
import { DOCKER_INDEX, DOCKER_MANIFEST } from '../../oci/media-type.ts';
import type { TransferEvent } from './transfer.ts';

/**
 * Digests stay what they are, and so does the format: an image of Docker's in a layout is read by
 * containerd, podman load, crane and us, while skopeo and umoci look for OCI's media types only.
 * @param name as the user knows it
 */
export function warnOfDocker(
  name: string,
  { mediaType }: Descriptor,
  onProgress: ((event: TransferEvent) => void) | undefined,
): void {
  if (mediaType !== DOCKER_MANIFEST && mediaType !== DOCKER_INDEX) return;
  const message = `${name} is in Docker's format, which skopeo and umoci do not read in an OCI layout; \`mica convert --format oci\` makes an image that they do`;
  onProgress?.({ type: 'warning', message });
}
