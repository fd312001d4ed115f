/**
 * Annotation keys that Mica reads or writes.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md
 */
export const REF_NAME = 'org.opencontainers.image.ref.name';
/** The whole name of an image in an archive, `docker.io/library/redis:7`; {@link REF_NAME} is the tag alone then. */
export const IMAGE_NAME = 'io.containerd.image.name';
/** On an entry of BuildKit's indexes that describes another image instead of being one. */
export const DOCKER_REFERENCE_TYPE = 'vnd.docker.reference.type';
/** The image that this one was built on: its name, and the digest of its manifest. */
export const BASE_NAME = 'org.opencontainers.image.base.name';
export const BASE_DIGEST = 'org.opencontainers.image.base.digest';
