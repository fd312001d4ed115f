import { syncFileSystem } from '../sys/sync.ts';
import type { Database } from './database.ts';

/**
 * Makes every file written below the store's root durable, so that the transaction that follows
 * may name them. Off Linux each file was synced by itself when it was complete.
 */
export async function syncStore(db: Database): Promise<void> {
  await syncFileSystem(db.root);
}
