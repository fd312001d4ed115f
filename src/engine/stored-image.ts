import type { ImageConfig } from '../oci/config.ts';
import type { ChainId, DiffId, Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Manifest } from '../oci/manifest.ts';

export interface StoredImage {
  /** Digest of the config. */
  readonly id: Digest;
  /** Normalised references that point to it, e.g. `docker.io/library/redis:latest`. */
  readonly references: readonly string[];
  /** Digests it was pulled by, e.g. `docker.io/library/redis@sha256:…`. */
  readonly repoDigests: readonly string[];
  readonly manifestDescriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** The config document as it was fetched. */
  readonly configBytes: Uint8Array;
  /** Base layer first. */
  readonly layers: readonly StoredLayer[];
  readonly pulledAt: Date;
  /** When it last got a name in a repository that it was not pulled from; `undefined`: it was only pulled. */
  readonly taggedAt: Date | undefined;
  /** Sum of the files of all layers, in bytes: what docker calls Size. */
  readonly size: number;
}

export interface StoredLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly chainId: ChainId;
  /** Uncompressed tar, in bytes. */
  readonly tarSize: number;
  /** Sum of its files and symbolic links, hard links once, in bytes. */
  readonly bytes: number;
  /** Directory of the unpacked layer. */
  readonly directory: string;
  readonly dependent: boolean;
}
