/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md */
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
/** Docker Image Manifest V2, Schema 2. */
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_INDEX = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
export const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';

/** The document of one image: its config and layers. */
export const isManifest = (mediaType: string): boolean =>
  mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;

/** The document that lists manifests, usually one per platform. */
export const isIndex = (mediaType: string): boolean =>
  mediaType === OCI_INDEX || mediaType === DOCKER_INDEX;

/** What a registry keeps under `/manifests/` and clients parse; everything else is a blob. */
export const isDocument = (mediaType: string): boolean =>
  isManifest(mediaType) || isIndex(mediaType) || isSchema1(mediaType);

/** Docker's format before 2016, in which the image ID and the layers' diffIDs are not recorded. */
export const isSchema1 = (mediaType: string): boolean =>
  mediaType.startsWith('application/vnd.docker.distribution.manifest.v1+');

export const isImageConfig = (mediaType: string): boolean =>
  mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG;

const LAYER =
  /^(?:application\/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar|application\/vnd\.docker\.image\.rootfs\.(?:diff|foreign\.diff)\.tar)(?:[+.](?<compression>gzip|zstd))?$/;

/** A tar of changes, compressed in a way that we read. */
export const isLayer = (mediaType: string): boolean => LAYER.test(mediaType);

/** What the media type says about a layer's compression; the first bytes have the last word. */
export function compressionOf(mediaType: string): 'gzip' | 'zstd' | 'none' | undefined {
  const match = LAYER.exec(mediaType);
  if (match === null) return undefined;
  return (match.groups?.['compression'] as 'gzip' | 'zstd' | undefined) ?? 'none';
}

/** A layer that registries need not hold: it comes from the URLs of its descriptor, and is not pushed. */
export const isForeignLayer = (mediaType: string): boolean =>
  mediaType.startsWith('application/vnd.oci.image.layer.nondistributable.') ||
  mediaType.startsWith('application/vnd.docker.image.rootfs.foreign.');

/** Whose media types an image has: OCI's, or those of Docker's schema 2. */
export type ImageFormat = 'oci' | 'docker';

export const formatOf = (manifestType: string): ImageFormat =>
  manifestType === DOCKER_MANIFEST ? 'docker' : 'oci';

/** What a layer is called that is compressed like this. */
export function layerType(format: ImageFormat, compression: 'gzip' | 'zstd' | 'none'): string {
  const plain = format === 'docker' ? DOCKER_LAYER : OCI_LAYER;
  if (compression === 'none') return plain;
  return `${plain}${format === 'docker' ? '.' : '+'}${compression}`;
}

/** What a layer of the type `mediaType` is called in another format; what is foreign stays so. */
export function layerTypeIn(format: ImageFormat, mediaType: string): string {
  const type = layerType(format, compressionOf(mediaType) ?? 'none');
  if (!isForeignLayer(mediaType)) return type;
  return format === 'docker'
    ? type.replace('rootfs.diff', 'rootfs.foreign.diff')
    : type.replace('layer.v1', 'layer.nondistributable.v1');
}
