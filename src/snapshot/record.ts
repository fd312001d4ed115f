import type { Database } from '../db/database.ts';
import { SnapshotRows } from './snapshot-rows.ts';

/** What a committed snapshot is made of. */
export interface Recorded {
  /** Name of a committed snapshot, or `''`. */
  readonly parent: string;
  /** Number of a layer that is ready. */
  readonly layer: number;
}

/** Names a layer as it stands on `parent`; what is there under this name stays. In a transaction. */
export function record(db: Database, name: string, { parent, layer }: Recorded): void {
  db.assertTransaction();
  const rows = new SnapshotRows(db);
  const on = parent === '' ? null : rows.get(parent, 'committed').id;
  if (rows.find(name) !== undefined) return;
  const committed = { kind: 'committed', state: 'ready', labels: {}, lease: null } as const;
  rows.insert({ ...committed, name, parent: on, layer });
}

/** Forgets committed snapshots that nothing stands on that stays. In a transaction. @returns the names that went */
export function forget(db: Database, names: readonly string[]): string[] {
  db.assertTransaction();
  const rows = new SnapshotRows(db);
  const gone: string[] = [];
  // Children were added after their parents.
  const youngestFirst = names.flatMap((name) => rows.find(name) ?? []).sort((a, b) => b.id - a.id);
  for (const { id, name, kind, state } of youngestFirst) {
    if (kind !== 'committed' || state !== 'ready' || rows.childOf(id) !== undefined) continue;
    rows.remove(id);
    gone.push(name);
  }
  return gone;
}
