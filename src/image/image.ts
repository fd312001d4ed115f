import type { ImageConfig } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Layer } from '../layer/layer.ts';

/** An immutable image. Small parts are plain data, loaded and verified together; only layers are lazy. */
export interface Image {
  /** Points at the manifest; its digest is the image's `RepoDigest`. */
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  /** The manifest as it was fetched. */
  readonly manifestBytes: Uint8Array;
  readonly config: ImageConfig;
  /** The config as it was fetched; its digest is the image's ID. */
  readonly configBytes: Uint8Array;
  /** Base layer first. */
  readonly layers: readonly Layer[];
}

/** A small JSON document of an image, whole and verified. */
export interface Document {
  readonly target: Descriptor;
  readonly bytes: Uint8Array;
}
