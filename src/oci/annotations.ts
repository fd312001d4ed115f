/**
 * Annotation keys that Mica reads or writes.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md
 */
export const REF_NAME = 'org.opencontainers.image.ref.name';
/** On an entry of BuildKit's indexes that describes another image instead of being one. */
export const DOCKER_REFERENCE_TYPE = 'vnd.docker.reference.type';
