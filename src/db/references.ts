import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Database } from './database.ts';
import {
  type ReferenceRecord,
  type ReferenceRow,
  type RepoDigestRecord,
  type RepoDigestRow,
  toReference,
  toRepoDigest,
} from './images.ts';
import { nextGeneration } from './meta.ts';

export interface Pointer {
  readonly image: Digest;
  readonly manifest: Digest;
  readonly target: Descriptor;
}

export function findReference(db: Database, name: string): ReferenceRecord | undefined {
  const row = db.get<ReferenceRow>('select * from reference where name = ?', name);
  return row && toReference(row);
}

export const listReferences = (db: Database): ReferenceRecord[] =>
  db.all<ReferenceRow>('select * from reference order by name').map(toReference);

/** Points `name` to an image that is there, wherever it pointed before. In a transaction. */
export function putReference(db: Database, name: string, to: Pointer): void {
  nextGeneration(db);
  db.run(
    `insert into reference (name, image, manifest, target, updated) values (?, ?, ?, ?, ?)
     on conflict (name) do update set image = excluded.image, manifest = excluded.manifest,
       target = excluded.target, updated = excluded.updated`,
    name,
    to.image,
    to.manifest,
    JSON.stringify(to.target),
    Date.now(),
  );
}

/** @returns whether there was such a reference */
export function deleteReference(db: Database, name: string): boolean {
  nextGeneration(db);
  return db.run('delete from reference where name = ?', name) > 0;
}

/** Remembers that `repository` gave the image by the digest of its target. In a transaction. */
export function putRepoDigest(db: Database, repository: string, to: Pointer): void {
  db.assertTransaction();
  db.run(
    `insert into repo_digest (repository, digest, image, manifest, target) values (?, ?, ?, ?, ?)
     on conflict (repository, digest, image) do update set manifest = excluded.manifest,
       target = excluded.target`,
    repository,
    to.target.digest,
    to.image,
    to.manifest,
    JSON.stringify(to.target),
  );
}

/** Those of `repository` by the digest of an index or manifest: of an index, one for each platform that was pulled. */
export const findRepoDigests = (
  db: Database,
  repository: string,
  digest: Digest,
): RepoDigestRecord[] =>
  db
    .all<RepoDigestRow>(
      'select * from repo_digest where repository = ? and digest = ?',
      repository,
      digest,
    )
    .map(toRepoDigest);

/** @returns whether there was one */
export function deleteRepoDigest(
  db: Database,
  { repository, digest, image }: Pick<RepoDigestRecord, 'repository' | 'digest' | 'image'>,
): boolean {
  db.assertTransaction();
  const sql = 'delete from repo_digest where repository = ? and digest = ? and image = ?';
  return db.run(sql, repository, digest, image) > 0;
}
