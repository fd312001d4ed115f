import type { ContentStore } from '../../content/content.ts';
import type { Database } from '../../db/database.ts';
import { syncStore } from '../../db/sync.ts';
import type { Digest } from '../../oci/digest.ts';
import type { LayerStore } from '../../snapshot/layers.ts';

/** So much work is lost at most when the machine stops, in milliseconds. */
const INTERVAL = 10_000;

interface Parts {
  readonly db: Database;
  readonly content: ContentStore;
  /** With the new driver. */
  readonly layers: LayerStore;
}

/** Makes finished layers ready, and the blobs that were fetched for them, many with one sync. */
export class Durable {
  readonly #parts: Parts;
  readonly #layers: number[] = [];
  readonly #blobs: Digest[] = [];
  #synced = Date.now();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  add(layer: number): void {
    this.#layers.push(layer);
  }

  addBlob(digest: Digest): void {
    this.#blobs.push(digest);
  }

  /** Syncs if it is time. */
  async keepUp(): Promise<void> {
    if (Date.now() - this.#synced >= INTERVAL) await this.sync();
  }

  async sync(): Promise<void> {
    this.#synced = Date.now();
    const { db, content, layers } = this.#parts;
    const [ids, digests] = [this.#layers.splice(0), this.#blobs.splice(0)];
    if (ids.length + digests.length === 0) return;
    await syncStore(db);
    db.transaction(
      () => {
        content.ready(digests);
        layers.ready(ids);
      },
      { durable: true },
    );
  }
}
