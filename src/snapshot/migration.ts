import type { Database } from '../db/database.ts';
import { deleteMeta, getMeta, setMeta } from '../db/meta.ts';
import { MicaError } from '../errors.ts';
import type { Driver, LayerForm } from './driver.ts';

/**
 * A change of the store's driver that has begun and not ended: layers are made a second time, in
 * the other driver's form, and nothing stands on them before all are there.
 */
export interface MigrationTarget {
  readonly driver: string;
  readonly form: LayerForm;
}

export function migrationOf(db: Database): MigrationTarget | undefined {
  const [driver, form] = getMeta(db, 'migrating-to')?.split(' ') ?? [];
  return driver === undefined ? undefined : { driver, form: form as LayerForm };
}

/**
 * In a transaction: from now on layers of this driver are made and kept.
 * @returns numbers of the layers that an unfinished migration to another driver has made; they are condemned
 */
export function beginMigration(db: Database, { name, form }: Driver): number[] {
  const before = migrationOf(db);
  const goesOn = before?.driver === name && before.form === form;
  const condemned = goesOn ? [] : abandonMigration(db);
  setMeta(db, 'migrating-to', `${name} ${form}`);
  return condemned;
}

/**
 * In a transaction: the store keeps its driver.
 * @returns numbers of the layers that were made for another one; they are condemned
 */
export function abandonMigration(db: Database): number[] {
  db.assertTransaction();
  deleteMeta(db, 'migrating-to');
  return db
    .all<{ id: number }>(
      `update layer set state = 'removing', lease = null where state in ('built', 'ready')
         and driver <> ? and id not in (select layer from snapshot) returning id`,
      getMeta(db, 'driver') ?? '',
    )
    .map(({ id }) => id);
}

/**
 * Numbers of the layers that are made for a migration and that some snapshot will stand on: no
 * garbage, although nothing stands on them yet.
 */
export function awaitedLayers(db: Database): number[] {
  const target = migrationOf(db);
  if (target === undefined) return [];
  return db
    .all<{ id: number }>(
      `select id from layer where driver = ? and form = ? and state <> 'removing' and (
         key in (select name from snapshot where kind = 'committed') or
         key in (select l.diff_id from snapshot s join layer l on l.id = s.layer where s.kind = 'committed'))`,
      target.driver,
      target.form,
    )
    .map(({ id }) => id);
}

export interface DriverChange {
  readonly from: Driver;
  readonly to: Driver;
  /** Number of the layer, ready, that each committed snapshot stands on from now on; `undefined`: where it stood. */
  readonly places: ReadonlyMap<number, number> | undefined;
}

/**
 * Gives the store its new driver, in a transaction, while nobody else writes to it: snapshots stand
 * on the layers that were made for it, and what nothing stands on any more is condemned. Layers
 * that stay, writable ones among them, are from now on those of the new driver.
 * @returns numbers of the condemned layers
 * @throws CONFLICT when there is a snapshot that nothing was made for
 */
export function changeDriver(db: Database, { from, to, places }: DriverChange): number[] {
  db.assertTransaction();
  const condemned = places === undefined ? [] : moveSnapshots(db, places);
  db.run(
    `update layer set driver = ?, form = ? where driver = ? and state <> 'removing'`,
    to.name,
    to.form,
    from.name,
  );
  setMeta(db, 'driver', to.name);
  setMeta(db, 'form', to.form);
  deleteMeta(db, 'migrating-to');
  return condemned;
}

function moveSnapshots(db: Database, places: ReadonlyMap<number, number>): number[] {
  const committed = db.all<{ id: number; name: string }>(
    `select id, name from snapshot where kind = 'committed'`,
  );
  for (const { id, name } of committed) {
    const layer = places.get(id);
    if (layer === undefined)
      throw new MicaError('CONFLICT', `snapshot ${name} came a moment ago; try again`);
    db.run('update snapshot set layer = ? where id = ?', layer, id);
  }
  return db
    .all<{ id: number }>(
      `update layer set state = 'removing', lease = null where state in ('built', 'ready')
         and id not in (select layer from snapshot) returning id`,
    )
    .map(({ id }) => id);
}
