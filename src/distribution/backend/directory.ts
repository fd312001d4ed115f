import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MicaError } from '../../errors.ts';
import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts';
import type {
  ContentId,
  PushedManifest,
  RegistryBackend,
  RegistryWriter,
  StoredBlob,
  StoredManifest,
} from './backend.ts';
import { Metadata } from './metadata.ts';

/** Blobs that no manifest came for, and uploads of servers that were killed, are kept for a day. */
const ORPHAN_AGE = 86_400_000;

/** A registry in a directory of its own: for tests, and for whoever wants one beside the engine's store. */
export interface DirectoryBackend extends RegistryBackend, AsyncDisposable {
  readonly writer: RegistryWriter;
}

/**
 * Opens (or creates) a registry in `directory`: `blobs/`, `uploads/` and `registry.db`. What a push
 * returned for is on disk. Files are put in place and removed inside the transaction that says so,
 * so several servers may share the directory.
 */
export async function directoryBackend(directory: string): Promise<DirectoryBackend> {
  for (const name of ['blobs/sha256', 'blobs/sha512', 'uploads'])
    await mkdir(join(directory, name), { recursive: true, mode: 0o700 });
  const backend = new Directory(directory);
  await backend.collect();
  return backend;
}

class Directory implements DirectoryBackend, RegistryWriter {
  readonly uploads: string;
  readonly writer: RegistryWriter = this;
  readonly #directory: string;
  readonly #metadata: Metadata;

  constructor(directory: string) {
    this.#directory = directory;
    this.uploads = join(directory, 'uploads');
    this.#metadata = new Metadata(join(directory, 'registry.db'));
  }

  async repositories(): Promise<string[]> {
    return this.#metadata.repositories();
  }

  async tags(repository: string): Promise<string[] | undefined> {
    const tags = this.#metadata.tags(repository);
    const known = tags.length > 0 || this.#metadata.repositories().includes(repository);
    return known ? tags : undefined;
  }

  async manifest(repository: string, reference: string): Promise<StoredManifest | undefined> {
    const digest = reference.includes(':')
      ? (reference as Digest)
      : this.#metadata.tagged(repository, reference);
    const row = digest && this.#metadata.manifest(repository, digest);
    return row && { ...row, path: this.#path(row.digest) };
  }

  async blob(repository: string, digest: Digest): Promise<StoredBlob | undefined> {
    const row = this.#metadata.blob(repository, digest);
    return row && { ...row, path: this.#path(digest) };
  }

  async referrers(repository: string, subject: Digest): Promise<StoredManifest[]> {
    const rows = this.#metadata.referrers(repository, subject);
    return rows.map(({ digest, size, mediaType }) => ({
      digest,
      size,
      mediaType,
      path: this.#path(digest),
    }));
  }

  async putBlob(repository: string, blob: ContentId, path: string): Promise<void> {
    this.#metadata.transaction(() => {
      this.#place(blob, path);
      this.#metadata.addLink(repository, blob.digest);
    });
  }

  async mountBlob(repository: string, digest: Digest, from: string): Promise<boolean> {
    return this.#metadata.transaction(() => {
      const found = this.#metadata.blob(from, digest) !== undefined;
      if (found) this.#metadata.addLink(repository, digest);
      return found;
    });
  }

  async deleteBlob(repository: string, digest: Digest): Promise<boolean> {
    return this.#remove(repository, digest, () => this.#metadata.removeLink(repository, digest));
  }

  async putManifest(repository: string, manifest: PushedManifest, tag?: string): Promise<void> {
    const path = await this.#write(manifest.bytes);
    try {
      this.#metadata.transaction(() => {
        this.#checkNeeds(repository, manifest);
        this.#place(manifest, path);
        this.#metadata.addManifest(repository, manifest);
        if (tag !== undefined) this.#metadata.setTag(repository, tag, manifest.digest);
      });
    } finally {
      await rm(path, { force: true });
    }
  }

  async deleteManifest(repository: string, digest: Digest): Promise<boolean> {
    return this.#remove(repository, digest, () =>
      this.#metadata.removeManifest(repository, digest),
    );
  }

  async deleteTag(repository: string, tag: string): Promise<boolean> {
    return this.#metadata.removeTag(repository, tag);
  }

  /** Removes what killed servers and unfinished pushes left, once it is old. */
  async collect(): Promise<void> {
    const before = Date.now() - ORPHAN_AGE;
    this.#metadata.transaction(() => {
      for (const digest of this.#metadata.removeOrphans(before)) this.#release(digest);
    });
    for (const name of await readdir(this.uploads)) {
      const path = join(this.uploads, name);
      const found = await stat(path).catch(() => undefined);
      if (found && found.mtimeMs < before) await rm(path, { force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#metadata[Symbol.dispose]();
  }

  #path(digest: Digest): string {
    return join(this.#directory, 'blobs', algorithmOf(digest), hexOf(digest));
  }

  async #write(bytes: Uint8Array): Promise<string> {
    const path = join(this.uploads, randomUUID());
    await using file = await open(path, 'wx', 0o600);
    await file.writeFile(bytes);
    await file.datasync();
    return path;
  }

  #checkNeeds(repository: string, { references }: PushedManifest): void {
    const metadata = this.#metadata;
    for (const digest of references)
      if (!metadata.blob(repository, digest) && !metadata.manifest(repository, digest))
        throw new MicaError('NOT_FOUND', `repository ${repository} no longer holds ${digest}`);
  }

  #place(content: ContentId, path: string): void {
    const target = this.#path(content.digest);
    renameSync(path, target);
    const directory = openSync(dirname(target), 'r');
    fsyncSync(directory);
    closeSync(directory);
    this.#metadata.addContent(content);
  }

  #remove(repository: string, digest: Digest, remove: () => boolean): boolean {
    return this.#metadata.transaction(() => {
      const user = this.#metadata.user(repository, digest);
      if (user)
        throw new MicaError(
          'FAILED_PRECONDITION',
          `${digest} is part of manifest ${user}; delete that first`,
        );
      const removed = remove();
      this.#release(digest);
      return removed;
    });
  }

  #release(digest: Digest): void {
    if (this.#metadata.release(digest)) rmSync(this.#path(digest), { force: true });
  }
}
