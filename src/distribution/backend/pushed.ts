import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ContentStore } from '../../content/content.ts';
import type { Database } from '../../db/database.ts';
import { type Lease, Leases } from '../../db/leases.ts';
import { RepositoryRows } from '../../db/repositories.ts';
import { isCode, MicaError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { syncDirectory } from '../../sys/sync.ts';
import type { ContentId, PushedManifest, RegistryWriter } from './backend.ts';
import type { ServedImages } from './images.ts';

/** A blob that no manifest came for belongs to its repository for a day. */
const ORPHAN_AGE = 86_400_000;

export interface PushedOptions {
  readonly db: Database;
  readonly content: ContentStore;
  /** Images of the store: what they hold can be referenced and mounted, but not deleted. */
  readonly images: ServedImages;
  /** Brings dropped blobs back. */
  readonly restore: (target: Descriptor) => Promise<void>;
}

/**
 * Takes pushes into the store's own blobs. What arrives is held by a lease until its manifest
 * comes; from then on the manifest's rows keep it from being collected.
 */
export class PushWriter implements RegistryWriter, AsyncDisposable {
  readonly uploads: string;
  readonly #options: PushedOptions;
  readonly #rows: RepositoryRows;
  readonly #lease: Lease;

  private constructor(options: PushedOptions, lease: Lease) {
    this.#options = options;
    this.#rows = new RepositoryRows(options.db);
    this.#lease = lease;
    this.uploads = join(options.db.root, 'uploads', lease.id);
  }

  static async open(options: PushedOptions): Promise<PushWriter> {
    const leases = new Leases(options.db);
    const writer = new PushWriter(options, leases.open('registry'));
    await mkdir(writer.uploads, { recursive: true, mode: 0o700 });
    const parent = dirname(writer.uploads);
    for (const id of await readdir(parent))
      if (!leases.isAlive(id)) await rm(join(parent, id), { recursive: true, force: true });
    writer.#rows.dropOrphans(Date.now() - ORPHAN_AGE);
    return writer;
  }

  async putBlob(repository: string, blob: ContentId, path: string): Promise<void> {
    this.#lease.hold('blob', [blob.digest]);
    await this.#options.content.adopt({ ...blob, mediaType: 'application/octet-stream' }, path);
    this.#rows.link(repository, blob.digest);
  }

  async mountBlob(repository: string, digest: Digest, from: string): Promise<boolean> {
    this.#lease.hold('blob', [digest]);
    const found = this.#rows.blob(from, digest) ?? this.#options.images.blob(from, digest);
    if (found === undefined || !(await this.#bringBack(found))) return false;
    this.#rows.link(repository, digest);
    return true;
  }

  async deleteBlob(repository: string, digest: Digest): Promise<boolean> {
    return this.#options.db.transaction(() => {
      this.#checkUnused(repository, digest);
      if (this.#rows.unlink(repository, digest)) return true;
      this.#checkNoImage(this.#options.images.blob(repository, digest), digest);
      return false;
    });
  }

  async putManifest(repository: string, manifest: PushedManifest, tag?: string): Promise<void> {
    const { db, content } = this.#options;
    const { digest, bytes, references } = manifest;
    const all = [digest, ...references];
    this.#lease.hold('blob', all);
    for (const reference of references) await this.#restoreOfImage(repository, reference);
    await content.push(manifest, async function* (offset) {
      yield bytes.subarray(offset);
    });
    await this.#sync(all);
    db.transaction(
      () => {
        content.ready(all);
        this.#rows.putManifest(repository, manifest);
        if (tag !== undefined) this.#rows.putTag(repository, tag, digest);
      },
      { durable: true },
    );
  }

  async deleteManifest(repository: string, digest: Digest): Promise<boolean> {
    return this.#options.db.transaction(() => {
      this.#checkUnused(repository, digest);
      if (this.#rows.deleteManifest(repository, digest)) return true;
      this.#checkNoImage(this.#options.images.manifest(repository, digest), digest);
      return false;
    });
  }

  async deleteTag(repository: string, tag: string): Promise<boolean> {
    return this.#options.db.transaction(() => {
      if (this.#rows.deleteTag(repository, tag)) return true;
      this.#checkNoImage(this.#options.images.manifest(repository, tag), `${repository}:${tag}`);
      return false;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.uploads, { recursive: true, force: true });
    this.#lease[Symbol.dispose]();
  }

  /** A blob of an image may have been dropped; what was pushed stays, so it must be here. */
  async #bringBack({ digest, size }: ContentId): Promise<boolean> {
    const target = { digest, size, mediaType: 'application/octet-stream' };
    const { content, restore } = this.#options;
    try {
      if (content.isDropped(digest)) await restore(target);
      return await content.has(target);
    } catch (error) {
      // The client has it, and pushes it.
      if (isCode(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }

  /** What a manifest needs may be part of an image in the same repository. */
  async #restoreOfImage(repository: string, digest: Digest): Promise<void> {
    const found = this.#options.images.blob(repository, digest);
    if (found !== undefined) await this.#bringBack(found);
  }

  /**
   * Makes the files durable one by one, off the main thread: most are already, and whatever else
   * the machine is writing is not waited for.
   */
  async #sync(digests: readonly Digest[]): Promise<void> {
    const paths = digests.map((digest) => this.#options.content.path(digest));
    for (const path of paths) {
      await using file = await open(path).catch(() => undefined);
      await file?.datasync();
    }
    for (const directory of new Set(paths.map(dirname))) syncDirectory(directory);
  }

  #checkUnused(repository: string, digest: Digest): void {
    const user = this.#rows.user(repository, digest);
    if (user !== undefined)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `${digest} is part of manifest ${user}; delete that first`,
      );
  }

  #checkNoImage(found: ContentId | undefined, what: string): void {
    if (found !== undefined)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `${what} is of an image of this store, not of one that was pushed; remove it with "mica rmi"`,
      );
  }
}
