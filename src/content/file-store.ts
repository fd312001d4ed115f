import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../db/database.ts';
import { MicaError } from '../errors.ts';
import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import { writeAtomic } from '../io/atomic.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { DiffId, Digest } from '../oci/digest.ts';
import { fromNode } from '../sys/errno.ts';
import { BlobFiles, LAYOUT_FILE, LAYOUT_VERSION, sizeOf } from './blob-files.ts';
import { BlobRows } from './blob-rows.ts';
import type {
  ContentStore,
  Drop,
  FetchOptions,
  Ingest,
  OpenIngestOptions,
  PartialDownload,
  Source,
  StoredBlob,
} from './content.ts';
import type { DroppedBlob } from './dropped-rows.ts';
import { Dropping } from './dropping.ts';
import { fill, spool } from './fill.ts';
import { Flight, ingestDirectory, poll } from './flight.ts';
import { FileIngest } from './ingest.ts';
import { dropDeadIngests, listPartials } from './partials.ts';
import { project } from './projection.ts';

export interface ContentStoreOptions {
  /** Where dropped blobs that cannot be made again are fetched from. Default: nowhere. */
  readonly origin?: Source | undefined;
}

/**
 * Opens the blob store below `db.root`. It undoes what dead processes left half done; with a
 * database that is open for reading, nothing is written.
 */
export async function openContentStore(
  db: Database,
  options: ContentStoreOptions = {},
): Promise<ContentStore> {
  const directory = join(db.root, 'content');
  const store = new FileStore(db, directory, options);
  if (!db.readonly) {
    makeLayout(directory);
    await store.recover();
  }
  return store;
}

function makeLayout(directory: string): void {
  try {
    mkdirSync(join(directory, 'blobs', 'sha256'), { recursive: true });
    const marker = join(directory, LAYOUT_FILE);
    // Every program can write it again: no need to wait for the disk.
    if (sizeOf(marker) !== LAYOUT_VERSION.length)
      writeAtomic(marker, LAYOUT_VERSION, { durable: false });
  } catch (error) {
    throw fromNode(error);
  }
}

class FileStore implements ContentStore {
  readonly #db: Database;
  readonly #directory: string;
  readonly #files: BlobFiles;
  readonly #rows: BlobRows;
  readonly #dropping: Dropping;
  readonly #origin: Source | undefined;

  constructor(db: Database, directory: string, { origin }: ContentStoreOptions) {
    this.#db = db;
    this.#directory = directory;
    this.#files = new BlobFiles(directory);
    this.#rows = new BlobRows(db);
    this.#dropping = new Dropping(db, this.#files, this.#rows);
    this.#origin = origin;
  }

  path(digest: Digest): string {
    return this.#files.path(digest);
  }

  async has(target: Descriptor, { signal }: Abortable = {}): Promise<boolean> {
    signal?.throwIfAborted();
    return this.#has(target) || this.#dropping.canMake(target.digest);
  }

  async *fetch(target: Descriptor, options: FetchOptions = {}): Bytes {
    options.signal?.throwIfAborted();
    await this.restore(target, options);
    yield* this.#files.read(target.digest, options);
  }

  async restore(target: Descriptor, options: Abortable = {}): Promise<void> {
    if (this.#has(target)) return;
    const failure = await this.#dropping.make(target, options);
    const origin = this.#origin;
    if (failure === undefined) return;
    if (origin === undefined) throw failure;
    await this.push(target, (offset) => origin.fetch(target, { ...options, offset }), options);
  }

  isDropped(digest: Digest): boolean {
    return this.#dropping.isDropped(digest);
  }

  dropped(): readonly DroppedBlob[] {
    return this.#dropping.list();
  }

  drop(blobs: readonly Drop[]): readonly StoredBlob[] {
    return this.#dropping.drop(blobs);
  }

  tarsOfDropped(used: ReadonlySet<string>): ReadonlySet<DiffId> {
    return this.#dropping.tarsNeeded(used);
  }

  forget(used: ReadonlySet<string>): void {
    this.#dropping.forget(used);
  }

  async push(target: Descriptor, content: Reopenable, options: Abortable = {}): Promise<void> {
    await using ingest = await this.openIngest(target, options);
    if (ingest !== undefined) await fill(ingest, content, options);
  }

  async ingest(content: Bytes, mediaType: string, options: Abortable = {}): Promise<Descriptor> {
    const name = `new-${randomBytes(8).toString('hex')}`;
    using spooling = Flight.tryTake(join(this.#directory, 'ingest', name));
    if (spooling === undefined) throw new MicaError('INTERNAL', `${name} is taken`);
    try {
      const target = { mediaType, ...(await spool(spooling.data, content, options)) };
      await this.#place(spooling.data, target, options);
      return target;
    } finally {
      spooling.removeData();
    }
  }

  async adopt(target: Descriptor, path: string, options: Abortable = {}): Promise<void> {
    await this.#place(path, target, options);
    rmSync(path, { force: true });
  }

  async openIngest(
    target: Descriptor,
    options: OpenIngestOptions = {},
  ): Promise<Ingest | undefined> {
    const directory = ingestDirectory(this.#directory, target.digest);
    const attempt = (): { ingest: Ingest | undefined } | undefined => {
      if (this.#has(target)) return { ingest: undefined };
      const flight = Flight.tryTake(directory);
      return flight && { ingest: this.#begin(target, flight) };
    };
    const wait = (): void => options.onWait?.(sizeOf(join(directory, 'data')) ?? 0);
    return (await poll(attempt, options, wait)).ingest;
  }

  ready(digests: readonly Digest[]): void {
    this.#rows.ready(digests);
  }

  async *list(): AsyncIterable<StoredBlob> {
    yield* this.#rows.list();
  }

  partials(): AsyncIterable<PartialDownload> {
    return listPartials(this.#directory);
  }

  async *orphans(): AsyncIterable<StoredBlob> {
    for (const digest of this.#files.list()) {
      const size = this.#rows.find(digest) ? undefined : this.#files.size(digest);
      if (size !== undefined) yield { digest, size };
    }
  }

  unused(used: ReadonlySet<string>): StoredBlob[] {
    return this.#rows.unused(used);
  }

  condemn(digests: readonly Digest[]): void {
    this.#rows.condemn(digests);
  }

  async discard(digest: Digest): Promise<boolean> {
    using flight = Flight.tryTake(ingestDirectory(this.#directory, digest));
    flight?.removeData();
    return flight !== undefined;
  }

  async delete(digest: Digest): Promise<number> {
    // Without the flight a download could put the file there between our look and our removal.
    using flight = Flight.tryTake(ingestDirectory(this.#directory, digest));
    const row = this.#rows.find(digest);
    if (flight === undefined || (row !== undefined && row.state !== 'removing')) return 0;
    const size = this.#files.size(digest) ?? 0;
    this.#files.remove(digest);
    this.#rows.remove(digest);
    return size;
  }

  project(): Promise<void> {
    return project(this.#db, this.#directory);
  }

  async recover(): Promise<void> {
    this.#rows.doubtOtherBoots();
    for (const digest of this.#rows.condemned()) await this.delete(digest);
    dropDeadIngests(this.#directory);
    await this.project();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dropping[Symbol.asyncDispose]();
  }

  /** @throws DATA_LOSS when the store has this digest and it is not what `target` says */
  #has({ digest, size }: Descriptor): boolean {
    const row = this.#rows.present(digest);
    // A file that somebody removed or cut is as good as absent, and will be replaced.
    if (row === undefined || this.#files.size(digest) !== row.size) return false;
    if (row.size === size) return true;
    throw new MicaError('DATA_LOSS', `${digest}: expected ${size} bytes, got ${row.size}`);
  }

  /** Makes the complete, verified file `path` the blob. */
  async #place(path: string, target: Descriptor, options: Abortable): Promise<void> {
    const directory = ingestDirectory(this.#directory, target.digest);
    using flight = await poll(() => Flight.tryTake(directory), options);
    if (this.#has(target)) return;
    this.#files.place(path, target.digest);
    this.#rows.arrive(target);
    flight.removeData();
  }

  /** With the flight in hand: nobody else writes this blob, and nobody has meanwhile. */
  #begin(target: Descriptor, flight: Flight): Ingest | undefined {
    try {
      if (this.#has(target)) {
        flight[Symbol.dispose]();
        return undefined;
      }
      this.#adopt(target, flight);
      return new FileIngest(target, flight, this.#files, this.#rows);
    } catch (error) {
      flight[Symbol.dispose]();
      throw error;
    }
  }

  /** A file among the blobs that the store does not vouch for becomes a partial download, to be verified. */
  #adopt({ digest, size }: Descriptor, flight: Flight): void {
    const found = this.#files.size(digest);
    if (found === undefined) return;
    if (found > size || found < (sizeOf(flight.data) ?? 0)) return this.#files.remove(digest);
    try {
      renameSync(this.#files.path(digest), flight.data);
    } catch (error) {
      throw fromNode(error);
    }
  }
}
