import type { Database } from '../db/database.ts';
import { MicaError } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest, DiffId } from '../oci/digest.ts';
import { hasKernel } from '../sys/binding.ts';
import { syncFile } from '../sys/sync.ts';
import type { BlobFiles } from './blob-files.ts';
import type { BlobRow, BlobRows } from './blob-rows.ts';
import type { Drop, StoredBlob } from './content.ts';
import { type DroppedBlob, DroppedRows } from './dropped-rows.ts';
import { Flight, ingestDirectory, poll } from './flight.ts';
import { RecipeThread } from './recipe/recipe-thread.ts';
import { RecipeRows, type StoredRecipe } from './recipe/recipe-rows.ts';

/** Blobs that are not in the store on purpose, and how they come back. */
export class Dropping implements AsyncDisposable {
  readonly #db: Database;
  readonly #files: BlobFiles;
  readonly #blobs: BlobRows;
  readonly #rows: DroppedRows;
  readonly #recipes: RecipeRows;
  /** To start a thread takes longer than most recipes: as many stay as were at work at once. */
  readonly #idle: RecipeThread[] = [];

  constructor(db: Database, files: BlobFiles, blobs: BlobRows) {
    this.#db = db;
    this.#files = files;
    this.#blobs = blobs;
    this.#rows = new DroppedRows(db);
    this.#recipes = new RecipeRows(db);
  }

  isDropped(digest: Digest): boolean {
    return this.#rows.find(digest) !== undefined && this.#blobs.present(digest) === undefined;
  }

  /** Whether it is dropped, and can be made again. */
  canMake(digest: Digest): boolean {
    return this.isDropped(digest) && this.#recipes.has(digest);
  }

  list(): DroppedBlob[] {
    return this.#rows.list();
  }

  drop(blobs: readonly Drop[]): StoredBlob[] {
    const going = blobs.flatMap((blob) => {
      const row = this.#blobs.find(blob.digest);
      return row !== undefined && this.#mayGo(row) ? [{ ...blob, size: row.size }] : [];
    });
    this.#blobs.condemn(going.map(({ digest }) => digest));
    this.#rows.put(going);
    return going.map(({ digest, size }) => ({ digest, size }));
  }

  /** What came back for a while was never made durable. */
  #mayGo({ digest, state }: BlobRow): boolean {
    return state === 'ready' || (state === 'arrived' && this.#rows.find(digest) !== undefined);
  }

  tarsNeeded(used: ReadonlySet<string>): Set<DiffId> {
    const digests = new Set(this.list().map(({ digest }) => digest));
    const needed = this.#recipes
      .all()
      .filter(({ digest, reason }) => reason === undefined && digests.has(digest));
    return new Set(needed.filter(({ digest }) => used.has(digest)).map(({ diffId }) => diffId));
  }

  forget(used: ReadonlySet<string>): void {
    for (const { digest } of this.#recipes.all())
      if (!used.has(digest)) this.#recipes.remove(digest);
    for (const { digest } of this.list()) if (!used.has(digest)) this.#rows.remove(digest);
  }

  /**
   * Makes a dropped blob again by its recipe. @returns why that did not work, if it did not
   * @throws what would be in the way of fetching it, too: a full disk, an abort
   */
  async make(target: Descriptor, options: Abortable): Promise<MicaError | undefined> {
    const { digest } = target;
    if (!this.isDropped(digest)) {
      const row = this.#blobs.present(digest);
      // Another process was faster: it has come since the caller looked.
      if (row !== undefined && this.#files.size(digest) === row.size) return undefined;
      throw new MicaError('NOT_FOUND', `blob ${digest} is not in the store ${this.#db.root}`);
    }
    if (this.#db.readonly)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `blob ${digest} was dropped, and the store is open for reading only`,
      );
    try {
      const recipe = this.#recipes.find(digest);
      if (recipe === undefined) return new MicaError('NOT_FOUND', gone(digest));
      await this.#follow(target, recipe, options);
      return undefined;
    } catch (error) {
      if (options.signal?.aborted || !(error instanceof MicaError)) throw error;
      if (!['DATA_LOSS', 'NOT_FOUND', 'FAILED_PRECONDITION'].includes(error.code)) throw error;
      return error;
    }
  }

  /** What a crash leaves is a partial download: its bytes are verified before anybody uses them. */
  async #follow(target: Descriptor, stored: StoredRecipe, options: Abortable): Promise<void> {
    const { digest } = target;
    using flight = await poll(
      () => Flight.tryTake(ingestDirectory(this.#files.directory, digest)),
      options,
    );
    if (!this.isDropped(digest)) return;
    const thread = this.#idle.pop() ?? new RecipeThread();
    try {
      await thread.follow({ target, ...stored }, flight.data, options);
      // Elsewhere one call makes all files durable.
      if (!hasKernel()) syncFile(flight.data);
    } catch (error) {
      flight.removeData();
      throw error;
    } finally {
      this.#idle.push(thread);
    }
    this.#files.place(flight.data, digest);
    this.#blobs.arrive(target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const thread of this.#idle.splice(0)) await thread[Symbol.asyncDispose]();
  }
}

const gone = (digest: Digest): string =>
  `blob ${digest} was dropped to save space, and its layer's tar or recipe is not there; \`mica check --repair\` fetches it from where it was pulled`;
