import type { Database } from '../../db/database.ts';
import type { Driver } from '../../snapshot/driver.ts';
import { driverOf } from '../../snapshot/drivers/index.ts';
import { layerDirectory, type LayerRow } from '../../snapshot/layer-rows.ts';
import { isOutOfReach } from '../../snapshot/waiting.ts';
import { errnoOf } from '../../sys/errno.ts';
import { directorySize } from './disk.ts';

export interface Unmeasured {
  readonly reason: string;
  readonly layers: number;
}

/** What layers take on the disk, each without what it shares with those below it. */
export class LayerSizes implements AsyncDisposable {
  readonly #db: Database;
  readonly #drivers = new Map<string, Driver | undefined>();
  readonly #unmeasured = new Map<string, number>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** Layers that could not be measured, by the reason: of those only what lies in the store is told. */
  get unmeasured(): Unmeasured[] {
    return [...this.#unmeasured].map(([reason, layers]) => ({ reason, layers }));
  }

  /** In bytes; 0 when it is gone. */
  async of({ id, driver, form }: Pick<LayerRow, 'id' | 'driver' | 'form'>): Promise<number> {
    try {
      const key = `${driver} ${form}`;
      if (!this.#drivers.has(key))
        this.#drivers.set(key, await driverOf(this.#db, { driver, form }));
      const opened = this.#drivers.get(key);
      // Of a later version.
      if (opened === undefined) return directorySize(layerDirectory(this.#db, id));
      return (await opened.usage({ id: String(id), kind: 'committed', parents: [] })).size;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return 0;
      if (!isOutOfReach(error)) throw error;
      this.#unmeasured.set(error.message, (this.#unmeasured.get(error.message) ?? 0) + 1);
      return directorySize(layerDirectory(this.#db, id));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#drivers.values()) await driver?.[Symbol.asyncDispose]();
    this.#drivers.clear();
  }
}
