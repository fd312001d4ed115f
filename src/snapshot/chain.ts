import type { Database } from '../db/database.ts';
import { layerDirectory, type LayerRecord, LayerRows, toRecord } from './layer-rows.ts';
import { SnapshotRows } from './snapshot-rows.ts';

/** Questions about what is unpacked, which need neither a driver nor a store that can be written. */

/**
 * Layers of a committed snapshot and of all below it, base first.
 * @throws NOT_FOUND
 */
export function layersOf(db: Database, name: string): LayerRecord[] {
  const [snapshots, layers] = [new SnapshotRows(db), new LayerRows(db)];
  const ids = snapshots.chain(snapshots.get(name, 'committed').id);
  return ids.reverse().map((id) => toRecord(layers.get(id)!, layerDirectory(db, id)));
}

/** All layers, writable ones and those in progress included. */
export const listLayers = (db: Database): LayerRecord[] =>
  new LayerRows(db).all().map((row) => toRecord(row, layerDirectory(db, row.id)));

/** Names of all committed snapshots: chainIDs, where images put them. */
export const listCommitted = (db: Database): string[] =>
  new SnapshotRows(db)
    .list()
    .filter(({ kind }) => kind === 'committed')
    .map(({ name }) => name);
