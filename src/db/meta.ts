import type { Database } from './database.ts';

/**
 * Facts about the store as a whole. `generation` changes with every change of a reference;
 * `migrating-to` is there while the store changes its driver.
 */
export type MetaKey =
  | 'format'
  | 'id'
  | 'generation'
  | 'driver'
  | 'form'
  | 'layer-blobs'
  | 'migrating-to';

export const getMeta = (db: Database, key: MetaKey): string | undefined =>
  db.get<{ value: string }>('select value from meta where key = ?', key)?.value;

export function setMeta(db: Database, key: MetaKey, value: string): void {
  db.run(
    'insert into meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value',
    key,
    value,
  );
}

export function deleteMeta(db: Database, key: MetaKey): void {
  db.run('delete from meta where key = ?', key);
}

export const generation = (db: Database): number => Number(getMeta(db, 'generation') ?? 0);

/** Says that references changed, so that what is made from them is made again. In the transaction that changes them. */
export function nextGeneration(db: Database): void {
  db.assertTransaction();
  setMeta(db, 'generation', String(generation(db) + 1));
}
