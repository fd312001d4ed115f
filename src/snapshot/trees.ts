import type { Database } from '../db/database.ts';
import { holdShared } from '../sys/mount.ts';
import type { Driver, Snapshot } from './driver.ts';
import { driverOf } from './drivers/index.ts';
import { LayerRows } from './layer-rows.ts';
import { SnapshotRows } from './snapshot-rows.ts';

/**
 * Keeps the tree of a snapshot visible at `layers/<id>/fs` until it is disposed of. Costs nothing
 * where trees are plain directories.
 * @param access - `rw`: to fill a layer that is being built
 */
export async function holdTree(
  db: Database,
  driver: Driver,
  snapshot: Snapshot,
  access: 'ro' | 'rw' = 'ro',
): Promise<AsyncDisposable> {
  const mount = await driver.tree?.(snapshot, access);
  if (mount === undefined) return NOTHING;
  const held = await holdShared(mount);
  return {
    async [Symbol.asyncDispose]() {
      held[Symbol.dispose]();
      await driver.release?.(() => new SnapshotRows(db).mountable());
    },
  };
}

/** The same for layers that nobody fills any more, by their numbers, whichever driver has them. */
export async function holdLayers(db: Database, ids: readonly number[]): Promise<AsyncDisposable> {
  await using held = new AsyncDisposableStack();
  const rows = new LayerRows(db);
  for (const id of ids) {
    const row = rows.get(id);
    // In all other forms a layer is what lies in its directory.
    if (row?.form !== 'direct') continue;
    const driver = await driverOf(db, row);
    if (driver === undefined) continue;
    held.use(driver);
    held.use(await holdTree(db, driver, { id: String(id), kind: 'committed', parents: [] }));
  }
  return held.move();
}

const NOTHING: AsyncDisposable = { async [Symbol.asyncDispose]() {} };
