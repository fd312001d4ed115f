import { type ImageConfig, parseImageConfig } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { sha256 } from '../oci/digest.ts';
import { parseManifest } from '../oci/manifest.ts';
import { DOCKER_CONFIG, DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST } from '../oci/media-type.ts';
import type { Layer } from '../layer/layer.ts';
import type { Document, Image } from './image.ts';

/** An image whose documents were made here, and they themselves: manifest and config. */
export interface ComposedImage {
  readonly image: Image;
  readonly documents: readonly [manifest: Document, config: Document];
}

export interface ComposeOptions {
  /** Whose media types: Docker's (schema 2) or OCI's. Those of the layers are the caller's. Default `oci`. */
  readonly format?: 'oci' | 'docker' | undefined;
  /** Of the manifest. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/**
 * Makes the documents of an image: the same config and layers give the same bytes.
 *
 * @param config - its bytes as they are to be, or a value whose fields are written in their order;
 *   its `rootfs` must be that of `layers`, base first
 */
export function composeImage(
  config: ImageConfig | Uint8Array,
  layers: readonly Layer[],
  { format = 'oci', annotations }: ComposeOptions = {},
): ComposedImage {
  const configBytes = config instanceof Uint8Array ? config : Buffer.from(JSON.stringify(config));
  const [manifestType, configType] =
    format === 'docker' ? [DOCKER_MANIFEST, DOCKER_CONFIG] : [OCI_MANIFEST, OCI_CONFIG];
  const configDocument = document(configType, configBytes);
  const manifestDocument = document(
    manifestType,
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: configDocument.target,
        layers: layers.map(({ descriptor }) => descriptor),
        ...(annotations && { annotations }),
      }),
    ),
  );
  const image = {
    descriptor: manifestDocument.target,
    manifest: parseManifest(manifestDocument.bytes, manifestType),
    manifestBytes: manifestDocument.bytes,
    config: parseImageConfig(configBytes),
    configBytes,
    layers,
  };
  return { image, documents: [manifestDocument, configDocument] };
}

function document(mediaType: string, bytes: Uint8Array): Document {
  const target: Descriptor = { mediaType, digest: sha256(bytes), size: bytes.byteLength };
  return { target, bytes };
}
