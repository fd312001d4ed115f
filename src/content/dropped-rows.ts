import type { Database } from '../db/database.ts';
import { nextGeneration } from '../db/meta.ts';
import type { Digest } from '../oci/digest.ts';
import type { StoredBlob } from './content.ts';

/** How a blob that was dropped is to come back: made again from its layer, or fetched again. */
export type DropKind = 'recreate' | 'refetch';

export interface DroppedBlob extends StoredBlob {
  readonly how: DropKind;
  /** Repositories that it was pulled from: the images that say so may go, and others still need it. */
  readonly origins: readonly string[];
}

interface DroppedRow extends StoredBlob {
  readonly how: DropKind;
  readonly origins: string;
}

/** The table `dropped`: blobs that are not in the store on purpose. A row outlives a blob that came back for a while. */
export class DroppedRows {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  find(digest: Digest): DroppedBlob | undefined {
    const row = this.#db.get<DroppedRow>(
      'select digest, size, how, origins from dropped where digest = ?',
      digest,
    );
    return row && toBlob(row);
  }

  list(): DroppedBlob[] {
    return this.#db
      .all<DroppedRow>('select digest, size, how, origins from dropped order by digest')
      .map(toBlob);
  }

  /** In the transaction that condemns them. */
  put(blobs: readonly DroppedBlob[]): void {
    this.#db.assertTransaction();
    for (const { digest, size, how, origins } of blobs)
      this.#db.run(
        'insert or replace into dropped (digest, size, how, origins, time) values (?, ?, ?, ?, ?)',
        digest,
        size,
        how,
        JSON.stringify(origins),
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

const toBlob = ({ origins, ...row }: DroppedRow): DroppedBlob => ({
  ...row,
  origins: JSON.parse(origins) as string[],
});
