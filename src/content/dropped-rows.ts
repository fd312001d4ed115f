import type { Database } from '../db/database.ts';
import { nextGeneration } from '../db/meta.ts';
import type { Digest } from '../oci/digest.ts';
import type { StoredBlob } from './content.ts';

/** How a blob that was dropped is to come back: made again from its layer, or fetched again. */
export type DropKind = 'recreate' | 'refetch';

export interface DroppedBlob extends StoredBlob {
  readonly how: DropKind;
}

/** The table `dropped`: blobs that are not in the store on purpose. A row outlives a blob that came back for a while. */
export class DroppedRows {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  find(digest: Digest): DroppedBlob | undefined {
    return this.#db.get<DroppedBlob>(
      'select digest, size, how from dropped where digest = ?',
      digest,
    );
  }

  list(): DroppedBlob[] {
    return this.#db.all<DroppedBlob>('select digest, size, how from dropped order by digest');
  }

  /** In the transaction that condemns them. */
  put(blobs: readonly StoredBlob[], how: DropKind): void {
    this.#db.assertTransaction();
    for (const { digest, size } of blobs)
      this.#db.run(
        'insert or replace into dropped (digest, size, how, time) values (?, ?, ?, ?)',
        digest,
        size,
        how,
        Date.now(),
      );
    // Images that are not whole leave the layout.
    if (blobs.length > 0) nextGeneration(this.#db);
  }

  /** The blob is there again, to stay. */
  remove(digest: Digest): void {
    if (this.#db.run('delete from dropped where digest = ?', digest) > 0) nextGeneration(this.#db);
  }
}
