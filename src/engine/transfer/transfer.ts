import type { Abortable } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Platform } from '../../oci/platform.ts';
import type { PullEvent } from '../pull/pull.ts';
import type { StoredImage } from '../stored-image.ts';

/** What moving images between places is asked, and tells. */

/** Facts, in the order they happen; several blobs interleave. */
export type TransferEvent =
  | PullEvent
  /** The registry took the blob from another of its repositories. */
  | { readonly type: 'mounted'; readonly target: Descriptor; readonly from: string };

export interface TransferOptions extends Abortable {
  readonly onProgress?: ((event: TransferEvent) => void) | undefined;
}

export interface PushOptions extends TransferOptions {
  /** Of the images that were pulled by this name for several platforms. Default: the one that has the name. */
  readonly platform?: Platform | undefined;
}

export interface PushResult {
  readonly reference: string;
  /** The manifest that the registry has now. */
  readonly target: Descriptor;
  /** Sent; what the registry had, or took from another repository, does not count. */
  readonly bytesSent: number;
}

export interface SaveOptions extends TransferOptions {
  /** Default `docker-archive`. */
  readonly format?: SaveFormat | undefined;
  /** Names of images; their layers are left out, for whoever has these. */
  readonly have?: readonly string[] | undefined;
  readonly platform?: Platform | undefined;
}

/**
 *  - `docker-archive`: what Docker writes since version 25, an OCI image layout with Docker's own
 *    lists beside it
 *  - `oci-archive`: the layout alone
 *  - `oci-dir`: the layout as a directory, which gets the images beside those that it has
 */
export type SaveFormat = 'docker-archive' | 'oci-archive' | 'oci-dir';

export interface LoadOptions extends TransferOptions {
  /** Default: this machine's, or the only one that is there. */
  readonly platform?: Platform | undefined;
}

export interface LoadedImage {
  readonly image: StoredImage;
  /** Its names in the archive, normalised. */
  readonly references: readonly string[];
  /** Images that had one of the names, and may be without any now. */
  readonly replaced: readonly Digest[];
}

export interface ImportOptions extends TransferOptions {
  /** Dockerfile instructions, as `docker import --change` takes them. */
  readonly changes?: readonly string[] | undefined;
  readonly message?: string | undefined;
  /** What the file system is for. Default: this machine's. */
  readonly platform?: Platform | undefined;
}

export interface CopyOptions extends TransferOptions {
  /** Every image of an index, and the index. Default: the one for {@link platform}. */
  readonly all?: boolean | undefined;
  readonly platform?: Platform | undefined;
}

export interface CopyResult {
  /** What the destination has now: an index, or a manifest. */
  readonly target: Descriptor;
  /** Of the image, where the destination is the store. */
  readonly image?: StoredImage | undefined;
}
