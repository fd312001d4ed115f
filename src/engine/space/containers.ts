import { snapshotKeyOf } from '../../container/container.ts';
import { directoryOf } from '../../container/directory.ts';
import { listContainers } from '../../db/containers.ts';
import type { Database } from '../../db/database.ts';
import type { LedgerContainer } from '../../explain/ledger.ts';
import { SnapshotRows } from '../../snapshot/snapshot-rows.ts';
import { directorySize } from './disk.ts';

/**
 * What each container alone keeps on the disk: its writable layer, and its own directory with the log.
 * @param layers - sizes, by number
 */
export async function containersOnDisk(
  db: Database,
  layers: ReadonlyMap<number, number>,
): Promise<LedgerContainer[]> {
  const snapshots = new SnapshotRows(db);
  const containers: LedgerContainer[] = [];
  for (const { id, name, image } of listContainers(db)) {
    const layer = snapshots.find(snapshotKeyOf(id))?.layer;
    const written = (layer !== undefined && layers.get(layer)) || 0;
    const bytes = written + (await directorySize(directoryOf(db.root, id).path));
    containers.push({ id, name, image, bytes });
  }
  return containers;
}
