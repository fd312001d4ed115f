import type { Database } from '../db/database.ts';
import { MicaError } from '../errors.ts';
import type { DiffId } from '../oci/digest.ts';
import type { Snapshot, SnapshotKind } from './driver.ts';
import type { SnapshotInfo } from './snapshotter.ts';

export interface SnapshotRow {
  readonly id: number;
  readonly name: string;
  readonly kind: SnapshotKind;
  readonly state: 'creating' | 'ready' | 'committing';
  readonly parent: number | null;
  readonly layer: number;
  /** Of a commit in progress: what it is to become. */
  readonly target: string | null;
  readonly target_parent: number | null;
  readonly target_diff_id: DiffId | null;
  readonly labels: string;
  readonly lease: string | null;
  readonly created: number;
  readonly updated: number;
}

export type Labels = Readonly<Record<string, string>>;

/** The table `snapshot`. */
export class SnapshotRows {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** By its name, or by the name that a commit in progress gives it: both are taken. */
  find(name: string): SnapshotRow | undefined {
    const sql = 'select * from snapshot where name = ?1 or target = ?1';
    return this.#db.get<SnapshotRow>(sql, name);
  }

  /** @throws NOT_FOUND, also while it is being made · FAILED_PRECONDITION when it is of another kind */
  get(name: string, kind?: SnapshotKind): SnapshotRow {
    const row = this.find(name);
    if (row?.state !== 'ready') throw new MicaError('NOT_FOUND', `snapshot ${name} not found`);
    if (kind !== undefined && row.kind !== kind)
      throw new MicaError('FAILED_PRECONDITION', `snapshot ${name} is ${row.kind}, not ${kind}`);
    return row;
  }

  byId(id: number): SnapshotRow | undefined {
    return this.#db.get<SnapshotRow>('select * from snapshot where id = ?', id);
  }

  list(): SnapshotRow[] {
    return this.#db.all<SnapshotRow>(`select * from snapshot where state = 'ready' order by id`);
  }

  unsettled(): SnapshotRow[] {
    return this.#db.all<SnapshotRow>(`select * from snapshot where state <> 'ready' order by id`);
  }

  insert(
    row: Pick<SnapshotRow, 'name' | 'kind' | 'state' | 'parent' | 'layer' | 'lease'> & {
      readonly labels: Labels;
    },
  ): SnapshotRow {
    const now = Date.now();
    return this.#db.get<SnapshotRow>(
      `insert into snapshot (name, kind, state, parent, layer, labels, lease, created, updated)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?) returning *`,
      row.name,
      row.kind,
      row.state,
      row.parent,
      row.layer,
      JSON.stringify(row.labels),
      row.lease,
      now,
      now,
    )!;
  }

  settle(id: number): void {
    this.#db.run(`update snapshot set state = 'ready', lease = null where id = ?`, id);
  }

  /** Takes over what nobody works on any more. @returns whether nobody else was faster */
  claim({ id, lease, state }: SnapshotRow, by: string): boolean {
    const sql = 'update snapshot set lease = ? where id = ? and lease is ? and state = ?';
    return this.#db.run(sql, by, id, lease, state) > 0;
  }

  intendCommit(
    id: number,
    intent: {
      readonly target: string;
      readonly parent: number | null;
      readonly diffId: DiffId | undefined;
      readonly lease: string;
      readonly labels: Labels | undefined;
    },
  ): void {
    this.#db.run(
      `update snapshot set state = 'committing', target = ?, target_parent = ?, target_diff_id = ?,
         lease = ?, labels = coalesce(?, labels), updated = ? where id = ?`,
      intent.target,
      intent.parent,
      intent.diffId ?? null,
      intent.lease,
      intent.labels === undefined ? null : JSON.stringify(intent.labels),
      Date.now(),
      id,
    );
  }

  /** What was intended failed: it is active as before, except for labels that came with the intent. */
  withdrawCommit(id: number): void {
    this.#db.run(
      `update snapshot set state = 'ready', target = null, target_parent = null,
         target_diff_id = null, lease = null where id = ? and state = 'committing'`,
      id,
    );
  }

  /** What was intended is now so. */
  committed(id: number, layer: number): void {
    this.#db.run(
      `update snapshot set kind = 'committed', state = 'ready', name = target, parent = target_parent,
         layer = ?, target = null, target_parent = null, target_diff_id = null, lease = null where id = ?`,
      layer,
      id,
    );
  }

  remove(id: number): void {
    this.#db.run('delete from snapshot where id = ?', id);
  }

  relabel(id: number, labels: Labels): void {
    const sql = 'update snapshot set labels = ?, updated = ? where id = ?';
    this.#db.run(sql, JSON.stringify(labels), Date.now(), id);
  }

  /** Name of a snapshot that stands on this one, or is about to. */
  childOf(id: number): string | undefined {
    const sql = 'select name from snapshot where parent = ?1 or target_parent = ?1 limit 1';
    return this.#db.get<{ name: string }>(sql, id)?.name;
  }

  /**
   * The snapshot and all below it, nearest first: numbers of their layers.
   * @throws DATA_LOSS when a damaged database lets a snapshot stand on itself
   */
  chain(id: number | null): number[] {
    const rows = this.#db.all<{ layer: number; parent: number | null }>(
      `with recursive up (layer, parent, depth) as (
         select layer, parent, 1 from snapshot where id = ?
         union all
         select s.layer, s.parent, up.depth + 1 from snapshot s join up on s.id = up.parent
          where up.depth < (select count(*) from snapshot))
       select layer, parent from up order by depth`,
      id,
    );
    const last = rows.at(-1)?.parent ?? null;
    if (last !== null && this.byId(last) !== undefined)
      throw new MicaError(
        'DATA_LOSS',
        `snapshot ${id} stands on itself: the database of the store is damaged; make a new store and pull its images again`,
      );
    return rows.map(({ layer }) => layer);
  }

  /** Active snapshots and views: what may be mounted. */
  mountable(): Snapshot[] {
    const sql = `select * from snapshot where kind <> 'committed'`;
    return this.#db.all<SnapshotRow>(sql).map((row) => this.physical(row));
  }

  physical({ layer, kind, parent }: SnapshotRow): Snapshot {
    return { id: String(layer), kind, parents: this.chain(parent).map(String) };
  }

  info({ name, kind, parent, labels, created, updated }: SnapshotRow): SnapshotInfo {
    return {
      name,
      kind,
      parent: (parent === null ? undefined : this.byId(parent)?.name) ?? '',
      labels: JSON.parse(labels) as Labels,
      createdAt: new Date(created),
      updatedAt: new Date(updated),
    };
  }
}
