import { join } from 'node:path';
import type { DiffId } from '../oci/digest.ts';
import type { Database } from './database.ts';

/** Where the uncompressed tar of a layer is kept, if some durable layer keeps it. */
export function findLayerTar(db: Database, diffId: DiffId): string | undefined {
  const row = db.get<{ id: number }>(
    `select id from layer where diff_id = ? and form = 'tar' and state = 'ready' order by id limit 1`,
    diffId,
  );
  return row && join(db.root, 'layers', String(row.id), 'layer.tar');
}
