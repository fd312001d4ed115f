import { join } from 'node:path';
import { bootId } from '../db/boot.ts';
import type { Database } from '../db/database.ts';
import { LIMBO } from '../db/limbo.ts';
import { getMeta } from '../db/meta.ts';
import { MicaError } from '../errors.ts';
import type { DiffId, Digest } from '../oci/digest.ts';
import type { Driver, LayerFacts, LayerForm } from './driver.ts';
import { migrationOf } from './migration.ts';

export type LayerState = 'building' | 'built' | 'ready' | 'active' | 'removing';

/** One physical storage: the directory `layers/<id>`. */
export interface LayerRecord {
  readonly id: number;
  readonly driver: string;
  readonly form: LayerForm;
  /** DiffID, or chainID where the tree depends on parents; `undefined`: shared with nobody. */
  readonly key: string | undefined;
  readonly state: LayerState;
  readonly directory: string;
  /** `undefined` while it is being built, and of what was not unpacked from a tar. */
  readonly facts: LayerFacts | undefined;
  readonly createdAt: Date;
}

export interface LayerRow {
  readonly id: number;
  readonly driver: string;
  readonly form: LayerForm;
  readonly key: string | null;
  readonly diff_id: DiffId | null;
  readonly state: LayerState;
  readonly lease: string | null;
  readonly boot: string | null;
  readonly dependent: number;
  readonly tar_size: number | null;
  readonly index_size: number | null;
  readonly index_digest: Digest | null;
  readonly stats: string | null;
  readonly created: number;
}

/** The table `layer`. */
export class LayerRows {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(id: number): LayerRow | undefined {
    return this.#db.get<LayerRow>('select * from layer where id = ?', id);
  }

  /** The row that has `key` now, in whatever state. */
  find(driver: string, key: string): LayerRow | undefined {
    return this.#db.get<LayerRow>(
      `select * from layer where driver = ? and key = ? and state <> 'removing'`,
      driver,
      key,
    );
  }

  all(): LayerRow[] {
    return this.#db.all<LayerRow>('select * from layer order by id');
  }

  /** @throws CONFLICT when the store has changed its driver since it was opened */
  insert(row: {
    readonly driver: Driver;
    readonly state: 'building' | 'active';
    readonly lease: string;
    readonly key?: string;
    readonly diffId?: DiffId | undefined;
  }): LayerRow {
    const { driver, state, lease, key = null, diffId = null } = row;
    this.#refuseForeign(driver);
    return this.#db.get<LayerRow>(
      `insert into layer (driver, form, key, diff_id, state, lease, boot, created)
       values (?, ?, ?, ?, ?, ?, ?, ?) returning *`,
      driver.name,
      driver.form,
      key,
      diffId,
      state,
      lease,
      bootId(),
      Date.now(),
    )!;
  }

  #refuseForeign({ name }: Driver): void {
    const own = getMeta(this.#db, 'driver') ?? name;
    if (name !== own && name !== migrationOf(this.#db)?.driver)
      throw new MicaError(
        'CONFLICT',
        `the store has changed from storage driver ${name} to ${own}; open it again`,
      );
  }

  /** Takes over what nobody works on any more. @returns whether nobody else was faster */
  claim({ id, lease, state }: LayerRow, by: string): boolean {
    const sql = 'update layer set lease = ?, boot = ? where id = ? and lease is ? and state = ?';
    return this.#db.run(sql, by, bootId(), id, lease, state) > 0;
  }

  /** @param key - if it had none */
  built(id: number, facts: LayerFacts, key?: string): boolean {
    const { diffId, dependent, tarSize, indexSize, indexDigest, stats } = facts;
    const changed = this.#db.run(
      `update layer set state = 'built', boot = ?, diff_id = ?, dependent = ?, tar_size = ?,
         index_size = ?, index_digest = ?, stats = ?, key = coalesce(key, ?) where id = ? and state = 'building'`,
      bootId(),
      diffId,
      dependent ? 1 : 0,
      tarSize,
      indexSize,
      indexDigest,
      JSON.stringify(stats),
      key ?? null,
      id,
    );
    return changed > 0;
  }

  /** The same tar has another index, by another version perhaps. */
  reindexed(id: number, { indexSize, indexDigest, stats }: LayerFacts): void {
    const sql = 'update layer set index_size = ?, index_digest = ?, stats = ? where id = ?';
    this.#db.run(sql, indexSize, indexDigest, JSON.stringify(stats), id);
  }

  ready(id: number): boolean {
    const changed = this.#db.run(
      `update layer set state = 'ready', lease = null, boot = null
        where id = ? and (state = 'ready' or (state = 'built' and boot = ?))`,
      id,
      bootId(),
    );
    return changed > 0;
  }

  /**
   * A writable layer becomes one that others build on.
   * @param facts - if it was packed
   */
  seal(
    id: number,
    {
      key,
      diffId,
      facts,
    }: { key?: string | undefined; diffId?: DiffId | undefined; facts?: LayerFacts | undefined },
  ): void {
    this.#db.run(
      `update layer set state = 'ready', key = ?, diff_id = ?, dependent = ?, tar_size = ?, index_size = ?,
         index_digest = ?, stats = ?, lease = null, boot = null where id = ?`,
      key ?? null,
      facts?.diffId ?? diffId ?? null,
      facts?.dependent ? 1 : 0,
      facts?.tarSize ?? null,
      facts?.indexSize ?? null,
      facts?.indexDigest ?? null,
      facts ? JSON.stringify(facts.stats) : null,
      id,
    );
  }

  /** Whether a snapshot stands on it. */
  isUsed(id: number): boolean {
    return this.#db.get('select 1 from snapshot where layer = ? limit 1', id) !== undefined;
  }

  /** @param row - only if it is still as this says */
  condemn({ id, state, lease }: Pick<LayerRow, 'id' | 'state' | 'lease'>): boolean {
    const sql = `update layer set state = 'removing' where id = ? and state = ? and lease is ?`;
    return this.#db.run(sql, id, state, lease) > 0;
  }

  remove(id: number): void {
    this.#db.run(`delete from layer where id = ? and state = 'removing'`, id);
  }

  /** Rows that some process works on, or died working on. */
  unsettled(): LayerRow[] {
    return this.#db.all<LayerRow>(
      `select * from layer where state in ('building', 'built', 'removing')`,
    );
  }

  /** What no snapshot stands on, old enough that nobody is about to let one. */
  unused(): LayerRow[] {
    return this.#db.all<LayerRow>(
      `select * from layer where (state = 'ready' or (state = 'built' and created < ?))
          and not exists (select 1 from snapshot where snapshot.layer = layer.id) order by id`,
      Date.now() - LIMBO,
    );
  }

  /** Recorded sha256 of a layer's index. */
  indexDigest(id: number): Digest | undefined {
    const sql = 'select index_digest as digest from layer where id = ?';
    return this.#db.get<{ digest: Digest | null }>(sql, id)?.digest ?? undefined;
  }

  knownDependent(diffId: DiffId): boolean {
    const sql = `select 1 as yes from layer where diff_id = ? and dependent = 1 limit 1`;
    return this.#db.get<{ yes: number }>(sql, diffId) !== undefined;
  }
}

/** Whether snapshots may stand on it. */
export const isUsable = (row: LayerRow): boolean =>
  row.state === 'ready' || (row.state === 'built' && isThisBoot(row));

export const isThisBoot = ({ boot }: LayerRow): boolean => boot === bootId();

/** Where a layer's files are: `layers/<id>` below the store's root. */
export const layerDirectory = ({ root }: Database, id: number): string =>
  join(layersDirectory(root), String(id));

/** What drivers are given as theirs. */
export const layersDirectory = (root: string): string => join(root, 'layers');

export function toRecord(row: LayerRow, directory: string): LayerRecord {
  const { id, driver, form, state, created } = row;
  return {
    id,
    driver,
    form,
    key: row.key ?? undefined,
    state,
    directory,
    facts: factsOf(row),
    createdAt: new Date(created),
  };
}

function factsOf(row: LayerRow): LayerFacts | undefined {
  const { diff_id, dependent, tar_size, index_size, index_digest, stats } = row;
  if (diff_id === null || tar_size === null || index_size === null || index_digest === null)
    return undefined;
  return {
    diffId: diff_id,
    dependent: dependent === 1,
    tarSize: tar_size,
    indexSize: index_size,
    indexDigest: index_digest,
    stats: JSON.parse(stats ?? '{}') as Record<string, number>,
  };
}
