import type { Digest } from '../../oci/digest.ts';

/**
 * What a registry serves: repositories, each a named set of blobs, manifests and tags.
 *
 * Names and tags have been checked against the specification's grammar before they get here,
 * digests are canonical. Absence is `undefined` or `false`, never an error.
 */
export interface RegistryBackend {
  /** Names of all repositories, in any order. */
  repositories(): Promise<readonly string[]>;
  /** Tags of a repository, in any order; `undefined` when there is no such repository. */
  tags(repository: string): Promise<readonly string[] | undefined>;
  /** @param reference a tag or a digest */
  manifest(repository: string, reference: string): Promise<StoredManifest | undefined>;
  blob(repository: string, digest: Digest): Promise<StoredBlob | undefined>;
  /**
   * Brings back the file of a blob that {@link blob} found although its file is not there. Absent:
   * that does not happen.
   * @throws NOT_FOUND when it cannot be had
   */
  restore?(blob: ContentId): Promise<void>;
  /** Manifests of the repository whose `subject` is `subject`. */
  referrers(repository: string, subject: Digest): Promise<readonly StoredManifest[]>;
  /** Absent: the registry is read-only. */
  readonly writer?: RegistryWriter | undefined;
}

/**
 * The write side. What arrives here is verified; a backend makes it durable before it resolves.
 *
 * A blob belongs to a repository from {@link putBlob} or {@link mountBlob} on, before any manifest
 * names it: a half-pushed image is safe from collection for as long as the backend says (a lease).
 */
export interface RegistryWriter {
  /** Directory where uploads gather; on the file system of the blobs, so that adopting one is a rename. */
  readonly uploads: string;
  /** Makes the complete, verified file `path` a blob of the repository; the file is gone afterwards. Idempotent. */
  putBlob(repository: string, blob: ContentId, path: string): Promise<void>;
  /** Adopts a blob of another repository; `false` when `from` does not hold it. */
  mountBlob(repository: string, digest: Digest, from: string): Promise<boolean>;
  /** @throws FAILED_PRECONDITION while a manifest of the repository names it */
  deleteBlob(repository: string, digest: Digest): Promise<boolean>;
  /**
   * Stores a manifest and, with `tag`, points that tag to it, in one step. Idempotent.
   * @throws NOT_FOUND when something it references left the repository meanwhile.
   */
  putManifest(repository: string, manifest: PushedManifest, tag?: string): Promise<void>;
  /**
   * Forgets a manifest and the tags that point to it.
   * @throws FAILED_PRECONDITION while another manifest of the repository names it
   */
  deleteManifest(repository: string, digest: Digest): Promise<boolean>;
  deleteTag(repository: string, tag: string): Promise<boolean>;
}

export interface ContentId {
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
}

export interface StoredBlob extends ContentId {
  /** The file that holds it. */
  readonly path: string;
}

export interface StoredManifest extends StoredBlob {
  readonly mediaType: string;
}

export interface PushedManifest extends ContentId {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** Blobs and manifests it needs; foreign layers are not among them. */
  readonly references: readonly Digest[];
  readonly subject?: Digest | undefined;
}
