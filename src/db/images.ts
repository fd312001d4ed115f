import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Database } from './database.ts';

/** An image as the database has it: its documents, and what points to it. */
export interface ImageRecord {
  /** Digest of the config. */
  readonly id: Digest;
  /** The config document as it was fetched. */
  readonly config: Uint8Array;
  readonly pulledAt: Date;
  /** Newest first. One, unless the same image was pushed with its layers compressed differently. */
  readonly manifests: readonly ManifestRecord[];
  readonly references: readonly ReferenceRecord[];
  readonly repoDigests: readonly RepoDigestRecord[];
}

export interface ManifestRecord {
  readonly descriptor: Descriptor;
  /** As it was fetched. */
  readonly document: Uint8Array;
}

/** A tag of ours. */
export interface ReferenceRecord {
  /** Normalised, e.g. `docker.io/library/redis:latest`. */
  readonly name: string;
  readonly image: Digest;
  readonly manifest: Digest;
  /** What it resolved to when it was pulled: an index or the manifest. */
  readonly target: Descriptor;
  readonly updatedAt: Date;
}

/** Where an image came from, by digest. */
export interface RepoDigestRecord {
  /** e.g. `docker.io/library/redis`. */
  readonly repository: string;
  /** Of {@link target}. */
  readonly digest: Digest;
  readonly image: Digest;
  readonly manifest: Digest;
  readonly target: Descriptor;
}

interface ImageRow {
  readonly id: Digest;
  readonly config: Uint8Array;
  readonly pulled: number;
}

interface ManifestRow {
  readonly digest: Digest;
  readonly image: Digest;
  readonly media_type: string;
  readonly document: Uint8Array;
}

/** All images, newest first; or only those with these IDs. */
export function listImages(db: Database, ids?: readonly Digest[]): ImageRecord[] {
  const chosen = ids && JSON.stringify(ids);
  const among = (column: string): string =>
    chosen === undefined ? '' : `where ${column} in (select value from json_each(?))`;
  const values = chosen === undefined ? [] : [chosen];
  const images = db.all<ImageRow>(
    `select id, config, pulled from image ${among('id')} order by pulled desc, id`,
    ...values,
  );
  const manifests = Map.groupBy(
    db.all<ManifestRow>(
      `select digest, image, media_type, document from manifest ${among('image')} order by created desc, digest`,
      ...values,
    ),
    ({ image }) => image,
  );
  const references = Map.groupBy(
    db
      .all<ReferenceRow>(`select * from reference ${among('image')} order by name`, ...values)
      .map(toReference),
    ({ image }) => image,
  );
  const repoDigests = Map.groupBy(
    db
      .all<RepoDigestRow>(
        `select * from repo_digest ${among('image')} order by repository, digest`,
        ...values,
      )
      .map(toRepoDigest),
    ({ image }) => image,
  );
  return images.map(({ id, config, pulled }) => ({
    id,
    config,
    pulledAt: new Date(pulled),
    manifests: (manifests.get(id) ?? []).map(toManifest),
    references: references.get(id) ?? [],
    repoDigests: repoDigests.get(id) ?? [],
  }));
}

export const findImage = (db: Database, id: Digest): ImageRecord | undefined =>
  listImages(db, [id])[0];

/** ID of the image that has a manifest of this digest. */
export const imageOfManifest = (db: Database, digest: string): Digest | undefined =>
  db.get<{ image: Digest }>('select image from manifest where digest = ?', digest)?.image;

/** IDs that begin with `prefix` (hex digits, after an optional `sha256:`); at most `limit`. */
export function findImageIds(db: Database, prefix: string, limit = 2): Digest[] {
  const start = prefix.includes(':') ? prefix : `sha256:${prefix}`;
  return db
    .all<{ id: Digest }>(
      'select id from image where id >= ? and id < ? order by id limit ?',
      start,
      `${start}g`,
      limit,
    )
    .map(({ id }) => id);
}

/** Adds an image with its manifest, or finds it there. In a transaction. */
export function putImage(
  db: Database,
  image: {
    readonly id: Digest;
    readonly config: Uint8Array;
    readonly manifest: ManifestRecord;
  },
): void {
  db.assertTransaction();
  const { id, config, manifest } = image;
  const now = Date.now();
  db.run(
    'insert into image (id, config, pulled) values (?, ?, ?) on conflict (id) do update set pulled = excluded.pulled',
    id,
    config,
    now,
  );
  db.run(
    `insert into manifest (digest, image, media_type, document, created) values (?, ?, ?, ?, ?)
     on conflict (digest) do update set created = excluded.created`,
    manifest.descriptor.digest,
    id,
    manifest.descriptor.mediaType,
    manifest.document,
    now,
  );
}

/** Removes an image and where it came from. @throws when a reference still points to it */
export function deleteImage(db: Database, id: Digest): void {
  db.assertTransaction();
  db.run('delete from image where id = ?', id);
}

/** Forgets the manifests of an image that neither a reference nor a repo digest names, but for its newest. */
export function dropSpareManifests(db: Database, image: Digest): void {
  db.assertTransaction();
  db.run(
    `delete from manifest where image = ?1
       and digest not in (select manifest from reference where image = ?1)
       and digest not in (select manifest from repo_digest where image = ?1)
       and digest <> (select digest from manifest where image = ?1 order by created desc, digest limit 1)`,
    image,
  );
}

export interface ReferenceRow {
  readonly name: string;
  readonly image: Digest;
  readonly manifest: Digest;
  readonly target: string;
  readonly updated: number;
}

export interface RepoDigestRow {
  readonly repository: string;
  readonly digest: Digest;
  readonly image: Digest;
  readonly manifest: Digest;
  readonly target: string;
}

export const toReference = ({ target, updated, ...row }: ReferenceRow): ReferenceRecord => ({
  ...row,
  target: JSON.parse(target) as Descriptor,
  updatedAt: new Date(updated),
});

export const toRepoDigest = ({ target, ...row }: RepoDigestRow): RepoDigestRecord => ({
  ...row,
  target: JSON.parse(target) as Descriptor,
});

const toManifest = ({ digest, media_type, document }: ManifestRow): ManifestRecord => ({
  descriptor: { mediaType: media_type, digest, size: document.byteLength },
  document,
});
