import { bootId } from '../db/boot.ts';
import type { Database } from '../db/database.ts';
import { LIMBO } from '../db/limbo.ts';
import { MicaError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { StoredBlob } from './content.ts';
import { DroppedRows } from './dropped-rows.ts';

export interface BlobRow extends StoredBlob {
  readonly state: 'arrived' | 'ready' | 'removing';
  readonly boot: string | null;
}

/** The table `blob`. */
export class BlobRows {
  readonly #db: Database;
  readonly #dropped: DroppedRows;

  constructor(db: Database) {
    this.#db = db;
    this.#dropped = new DroppedRows(db);
  }

  find(digest: Digest): BlobRow | undefined {
    return this.#db.get<BlobRow>(
      'select digest, size, state, boot from blob where digest = ?',
      digest,
    );
  }

  /** What may be relied on: not what is going, nor what another boot may have lost. */
  present(digest: Digest): BlobRow | undefined {
    const row = this.find(digest);
    if (row?.state === 'ready') return row;
    return row?.state === 'arrived' && row.boot === bootId() ? row : undefined;
  }

  list(): StoredBlob[] {
    return this.#db
      .all<BlobRow>(
        `select digest, size from blob where state = 'ready' or (state = 'arrived' and boot = ?) order by digest`,
        bootId(),
      )
      .map(toBlob);
  }

  arrive({ digest, size }: StoredBlob): void {
    this.#db.run(
      `insert into blob (digest, size, state, boot, created) values (?, ?, 'arrived', ?, ?)
       on conflict (digest) do update set size = excluded.size, state = 'arrived', boot = excluded.boot, created = excluded.created`,
      digest,
      size,
      bootId(),
      Date.now(),
    );
  }

  ready(digests: readonly Digest[]): void {
    this.#db.assertTransaction();
    for (const digest of digests) {
      if (this.present(digest) === undefined)
        throw new MicaError(
          'NOT_FOUND',
          `blob ${digest} is not in the store (any more); try again`,
        );
      this.#db.run(`update blob set state = 'ready', boot = null where digest = ?`, digest);
      this.#dropped.remove(digest);
    }
  }

  condemn(digests: readonly Digest[]): void {
    this.#db.assertTransaction();
    for (const digest of digests)
      this.#db.run(`update blob set state = 'removing' where digest = ?`, digest);
  }

  condemned(): Digest[] {
    return this.#db
      .all<{ digest: Digest }>(`select digest from blob where state = 'removing'`)
      .map(({ digest }) => digest);
  }

  unused(used: ReadonlySet<string>): StoredBlob[] {
    return this.#db
      .all<BlobRow>(
        `select digest, size from blob where state = 'ready'
           or (state = 'arrived' and (created < ? or boot <> ?)) order by digest`,
        Date.now() - LIMBO,
        bootId(),
      )
      .filter(({ digest }) => !used.has(digest))
      .map(toBlob);
  }

  remove(digest: Digest): void {
    this.#db.run('delete from blob where digest = ?', digest);
  }

  /**
   * Forgets what arrived in another boot: some of it may be lost, so its files have to be verified
   * again. What was dropped and came back for a while goes.
   */
  doubtOtherBoots(): void {
    this.#db.run(
      `update blob set state = 'removing' where state = 'arrived' and boot <> ?
         and digest in (select digest from dropped)`,
      bootId(),
    );
    this.#db.run(`delete from blob where state = 'arrived' and boot <> ?`, bootId());
  }
}

const toBlob = ({ digest, size }: BlobRow): StoredBlob => ({ digest, size });
