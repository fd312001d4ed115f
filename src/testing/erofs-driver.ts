import type { Database } from '../db/database.ts';
import { pack } from '../layer/pack.ts';
import type { Driver } from '../snapshot/driver.ts';
import { erofs } from '../snapshot/drivers/erofs.ts';
import { LayerRows } from '../snapshot/layer-rows.ts';

/** The driver erofs of a store, as an engine puts it together. */
export const erofsOf = (layers: string, db: Database): Driver =>
  erofs(layers, { pack, digestOf: (id) => new LayerRows(db).indexDigest(Number(id)) });
