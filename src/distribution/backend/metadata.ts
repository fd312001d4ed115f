import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import type { Digest } from '../../oci/digest.ts';
import type { ContentId, PushedManifest } from './backend.ts';

const SCHEMA = `
  create table if not exists content (digest text primary key, size integer not null) strict, without rowid;
  -- a blob that was pushed or mounted into a repository
  create table if not exists link (
    repository text not null, digest text not null, since integer not null,
    primary key (repository, digest)) strict, without rowid;
  create table if not exists manifest (
    repository text not null, digest text not null, media_type text not null, subject text,
    primary key (repository, digest)) strict, without rowid;
  create index if not exists manifest_subject on manifest (repository, subject);
  -- what a manifest references: blobs, or manifests
  create table if not exists need (
    repository text not null, manifest text not null, digest text not null,
    primary key (repository, manifest, digest)) strict, without rowid;
  create index if not exists need_digest on need (repository, digest);
  create table if not exists tag (
    repository text not null, name text not null, manifest text not null,
    primary key (repository, name)) strict, without rowid;
`;
const BLOB = 'select digest, size from link join content using (digest) where repository = ?';
const MANIFEST = `select digest, size, media_type as mediaType
  from manifest join content using (digest) where repository = ?`;

export interface ManifestRow extends ContentId {
  readonly mediaType: string;
}

/** Names, links and tags of a directory registry. Every method is one short synchronous step. */
export class Metadata implements Disposable {
  readonly #db: DatabaseSync;

  constructor(path: string) {
    this.#db = new DatabaseSync(path, { timeout: 10_000 });
    this.#db.exec('pragma journal_mode = wal; pragma synchronous = full;');
    this.transaction(() => this.#db.exec(SCHEMA));
  }

  /** Runs `task` with all processes' writes to this database locked out, all or nothing. */
  transaction<T>(task: () => T): T {
    this.#db.exec('begin immediate');
    try {
      const result = task();
      this.#db.exec('commit');
      return result;
    } catch (error) {
      this.#db.exec('rollback');
      throw error;
    }
  }

  repositories(): string[] {
    const sql = 'select repository from link union select repository from manifest';
    return this.#all<{ repository: string }>(sql).map(({ repository }) => repository);
  }

  tags(repository: string): string[] {
    const sql = 'select name from tag where repository = ?';
    return this.#all<{ name: string }>(sql, repository).map(({ name }) => name);
  }

  blob(repository: string, digest: Digest): ContentId | undefined {
    return this.#all<ContentId>(`${BLOB} and digest = ?`, repository, digest)[0];
  }

  manifest(repository: string, digest: Digest): ManifestRow | undefined {
    return this.#all<ManifestRow>(`${MANIFEST} and digest = ?`, repository, digest)[0];
  }

  tagged(repository: string, tag: string): Digest | undefined {
    const sql = 'select manifest from tag where repository = ? and name = ?';
    return this.#all<{ manifest: Digest }>(sql, repository, tag)[0]?.manifest;
  }

  referrers(repository: string, subject: Digest): ManifestRow[] {
    return this.#all<ManifestRow>(`${MANIFEST} and subject = ?`, repository, subject);
  }

  /** A manifest of the repository that references `digest`. */
  user(repository: string, digest: Digest): Digest | undefined {
    const sql = 'select manifest from need where repository = ? and digest = ? limit 1';
    return this.#all<{ manifest: Digest }>(sql, repository, digest)[0]?.manifest;
  }

  addContent({ digest, size }: ContentId): void {
    this.#run('insert or replace into content values (?, ?)', digest, size);
  }

  addLink(repository: string, digest: Digest): void {
    this.#run('insert or replace into link values (?, ?, ?)', repository, digest, Date.now());
  }

  addManifest(repository: string, manifest: PushedManifest): void {
    const { digest, mediaType, subject = null, references } = manifest;
    const sql = 'insert or replace into manifest values (?, ?, ?, ?)';
    this.#run(sql, repository, digest, mediaType, subject);
    for (const needed of references)
      this.#run('insert or ignore into need values (?, ?, ?)', repository, digest, needed);
  }

  setTag(repository: string, tag: string, manifest: Digest): void {
    this.#run('insert or replace into tag values (?, ?, ?)', repository, tag, manifest);
  }

  removeTag(repository: string, tag: string): boolean {
    return this.#run('delete from tag where repository = ? and name = ?', repository, tag) > 0;
  }

  removeLink(repository: string, digest: Digest): boolean {
    return (
      this.#run('delete from link where repository = ? and digest = ?', repository, digest) > 0
    );
  }

  removeManifest(repository: string, digest: Digest): boolean {
    this.#run('delete from tag where repository = ? and manifest = ?', repository, digest);
    this.#run('delete from need where repository = ? and manifest = ?', repository, digest);
    const sql = 'delete from manifest where repository = ? and digest = ?';
    return this.#run(sql, repository, digest) > 0;
  }

  /** Removes links made before `time` whose blob no manifest of the repository references. */
  removeOrphans(time: number): Digest[] {
    const sql = `delete from link where since < ? and not exists (select * from need
      where need.repository = link.repository and need.digest = link.digest) returning digest`;
    return this.#all<{ digest: Digest }>(sql, time).map(({ digest }) => digest);
  }

  /** Forgets content that no repository has any more; `false`: one does. */
  release(digest: Digest): boolean {
    const sql = `delete from content where digest = ?1
      and not exists (select * from link where digest = ?1)
      and not exists (select * from manifest where digest = ?1)`;
    return this.#run(sql, digest) > 0;
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#db.prepare(sql).all(...values) as unknown as Row[];
  }

  #run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes);
  }
}
