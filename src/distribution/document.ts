import { isCode } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { parseIndex, parseManifest, sniffMediaType } from '../oci/manifest.ts';
import { isForeignLayer, isIndex } from '../oci/media-type.ts';
import { Refusal } from './exchange.ts';

/** What a registry must know of a manifest, whatever its purpose: images, indexes, artifacts. */
export interface ManifestDocument {
  readonly mediaType: string;
  /** Config and layers, without those that clients fetch from elsewhere and do not push. */
  readonly blobs: readonly Descriptor[];
  /** Manifests of an index. */
  readonly manifests: readonly Descriptor[];
  readonly subject: Digest | undefined;
  /** As a referrers list tells it: a manifest without one has the media type of its config. */
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/** @throws a refusal, MANIFEST_INVALID, that says what is wrong */
export function readDocument(bytes: Uint8Array, contentType: string | undefined): ManifestDocument {
  try {
    // Parameters of the type, as in `; charset=utf-8`, mean nothing here.
    const stated = contentType?.split(';')[0]!.trim();
    const mediaType = stated || sniffMediaType(bytes);
    return isIndex(mediaType) ? readIndex(bytes, mediaType) : readManifest(bytes, mediaType);
  } catch (error) {
    if (!isCode(error, 'INVALID_ARGUMENT') && !isCode(error, 'NOT_IMPLEMENTED')) throw error;
    throw new Refusal(400, 'MANIFEST_INVALID', error.message);
  }
}

function readManifest(bytes: Uint8Array, type: string): ManifestDocument {
  const manifest = parseManifest(bytes, type);
  const { config, layers, mediaType, subject, artifactType, annotations } = manifest;
  return {
    mediaType,
    blobs: [config, ...layers.filter((layer) => !isForeignLayer(layer.mediaType))],
    manifests: [],
    subject: subject?.digest,
    artifactType: artifactType || config.mediaType,
    annotations,
  };
}

function readIndex(bytes: Uint8Array, type: string): ManifestDocument {
  const { manifests, mediaType, subject, artifactType, annotations } = parseIndex(bytes, type);
  return {
    mediaType,
    blobs: [],
    manifests,
    subject: subject?.digest,
    artifactType: artifactType || undefined,
    annotations,
  };
}
