import type { Database } from '../../db/database.ts';
import { driverOf } from '../../snapshot/drivers/index.ts';
import { layerDirectory, LayerRows } from '../../snapshot/layer-rows.ts';
import { directorySize } from './disk.ts';

/**
 * What layers take elsewhere than in the store's directory, in bytes by number: where their trees are
 * file systems of their own.
 */
export async function outsideOf(db: Database): Promise<ReadonlyMap<number, number>> {
  const bytes = new Map<number, number>();
  const rows = new LayerRows(db).all().filter(({ form }) => form === 'direct');
  for (const [, some] of Map.groupBy(rows, ({ driver }) => driver)) {
    await using driver = await driverOf(db, some[0]!);
    if (driver?.tree === undefined) continue;
    for (const { id } of some) {
      const { size } = await driver.usage({ id: String(id), kind: 'committed', parents: [] });
      bytes.set(id, Math.max(0, size - (await directorySize(layerDirectory(db, id)))));
    }
  }
  return bytes;
}
