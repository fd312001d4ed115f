import type { Digest } from '../oci/digest.ts';
import { bootId } from './boot.ts';
import type { Database } from './database.ts';

/** Something that a repository of `mica registry` holds. */
export interface HeldContent {
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
}

export interface HeldManifest extends HeldContent {
  readonly mediaType: string;
}

export interface NewManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly subject?: Digest | undefined;
  /** What it needs: blobs, or manifests. */
  readonly references: readonly Digest[];
}

/** Rows whose content the store vouches for, as `db` sees them now. */
const PRESENT = `(blob.state = 'ready' or (blob.state = 'arrived' and blob.boot = ?))`;
const MANIFEST = `select digest, blob.size, media_type as mediaType
  from registry_manifest join blob using (digest) where ${PRESENT} and repository = ?`;

/** What was pushed to the registry: repositories with their blobs, manifests and tags. */
export class RepositoryRows {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  names(): string[] {
    const sql =
      'select repository from registry_link union select repository from registry_manifest';
    return this.#db.all<{ repository: string }>(sql).map(({ repository }) => repository);
  }

  has(repository: string): boolean {
    const sql = `select 1 from registry_link where repository = ?
      union all select 1 from registry_manifest where repository = ? limit 1`;
    return this.#db.get(sql, repository, repository) !== undefined;
  }

  tags(repository: string): string[] {
    const sql = 'select name from registry_tag where repository = ?';
    return this.#db.all<{ name: string }>(sql, repository).map(({ name }) => name);
  }

  tagged(repository: string, tag: string): Digest | undefined {
    const sql = 'select manifest from registry_tag where repository = ? and name = ?';
    return this.#db.get<{ manifest: Digest }>(sql, repository, tag)?.manifest;
  }

  /** What was pushed or mounted into the repository, or is part of one of its manifests. */
  blob(repository: string, digest: Digest): HeldContent | undefined {
    return this.#db.get<HeldContent>(
      `select digest, size from blob where digest = ? and ${PRESENT} and (
        exists (select * from registry_link where repository = ? and digest = blob.digest) or
        exists (select * from registry_need where repository = ? and digest = blob.digest))`,
      digest,
      bootId(),
      repository,
      repository,
    );
  }

  manifest(repository: string, digest: Digest): HeldManifest | undefined {
    return this.#db.get<HeldManifest>(`${MANIFEST} and digest = ?`, bootId(), repository, digest);
  }

  referrers(repository: string, subject: Digest): HeldManifest[] {
    return this.#db.all<HeldManifest>(`${MANIFEST} and subject = ?`, bootId(), repository, subject);
  }

  /** A manifest of the repository that needs `digest`. */
  user(repository: string, digest: Digest): Digest | undefined {
    const sql = 'select manifest from registry_need where repository = ? and digest = ? limit 1';
    return this.#db.get<{ manifest: Digest }>(sql, repository, digest)?.manifest;
  }

  link(repository: string, digest: Digest): void {
    this.#db.run(
      'insert or replace into registry_link values (?, ?, ?)',
      repository,
      digest,
      Date.now(),
    );
  }

  /** @returns whether there was one */
  unlink(repository: string, digest: Digest): boolean {
    const sql = 'delete from registry_link where repository = ? and digest = ?';
    return this.#db.run(sql, repository, digest) > 0;
  }

  putManifest(repository: string, { digest, mediaType, subject, references }: NewManifest): void {
    this.#db.assertTransaction();
    this.#db.run(
      `insert into registry_manifest values (?, ?, ?, ?)
        on conflict do update set media_type = excluded.media_type`,
      repository,
      digest,
      mediaType,
      subject ?? null,
    );
    for (const needed of references)
      this.#db.run(
        'insert or ignore into registry_need values (?, ?, ?)',
        repository,
        digest,
        needed,
      );
  }

  /** Its tags go with it. @returns whether there was one */
  deleteManifest(repository: string, digest: Digest): boolean {
    const sql = 'delete from registry_manifest where repository = ? and digest = ?';
    return this.#db.run(sql, repository, digest) > 0;
  }

  putTag(repository: string, name: string, manifest: Digest): void {
    this.#db.run(
      'insert or replace into registry_tag values (?, ?, ?)',
      repository,
      name,
      manifest,
    );
  }

  /** @returns whether there was one */
  deleteTag(repository: string, name: string): boolean {
    const sql = 'delete from registry_tag where repository = ? and name = ?';
    return this.#db.run(sql, repository, name) > 0;
  }

  /** Forgets blobs that were pushed before `time` and that no manifest of their repository needs. */
  dropOrphans(time: number): void {
    this.#db.run(
      `delete from registry_link where created < ? and not exists (select * from registry_need
        where registry_need.repository = registry_link.repository and registry_need.digest = registry_link.digest)`,
      time,
    );
  }
}

/** Everything that pushed manifests need, and they themselves: roots of a collection. */
export const pushedBlobs = (db: Database): Digest[] =>
  db
    .all<{ digest: Digest }>(
      'select digest from registry_manifest union select digest from registry_need',
    )
    .map(({ digest }) => digest);
