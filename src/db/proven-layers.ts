import type { DiffId, Digest } from '../oci/digest.ts';
import type { Database } from './database.ts';

/**
 * Which blobs were seen to inflate to which tars. It is true for ever, wherever the blob is: both are
 * named by what they are.
 */

export const isProven = (db: Database, digest: Digest, diffId: DiffId): boolean =>
  db.get('select 1 from proven_layer where digest = ? and diff_id = ?', digest, diffId) !==
  undefined;

/** Writes down what was just seen. */
export function recordProof(db: Database, digest: Digest, diffId: DiffId): void {
  db.run('insert or ignore into proven_layer (digest, diff_id) values (?, ?)', digest, diffId);
}

/** In a transaction: forgets the proofs of blobs that the store does not know any more. */
export function forgetProofs(db: Database): void {
  db.assertTransaction();
  db.run(`delete from proven_layer where digest not in (select digest from blob)
    and digest not in (select digest from dropped)`);
}
