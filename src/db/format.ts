import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { MicaError } from '../errors.ts';
import { ADDITIONS, APPLICATION_ID, FEATURES, type FeatureKind, FORMAT, SCHEMA } from './schema.ts';

/** Makes an empty database one of our format. */
export function createFormat(db: DatabaseSync): void {
  db.exec(`pragma application_id = ${APPLICATION_ID}`);
  db.exec(SCHEMA);
  for (const addition of Object.values(ADDITIONS)) db.exec(addition);
  const meta = db.prepare('insert into meta (key, value) values (?, ?)');
  meta.run('format', FORMAT);
  meta.run('id', randomUUID());
  meta.run('generation', '0');
  const feature = db.prepare('insert into feature (name, kind) values (?, ?)');
  for (const [kind, names] of Object.entries(FEATURES))
    for (const name of names) feature.run(name, kind);
}

/** @throws FAILED_PRECONDITION when the store has something that this version does not understand */
export function checkFormat(db: DatabaseSync, path: string, readonly: boolean): void {
  const { application_id: application } = db.prepare('pragma application_id').get() as {
    application_id: number;
  };
  if (application !== APPLICATION_ID)
    throw new MicaError('FAILED_PRECONDITION', `${path} is not the database of a Mica store`);
  const format = db.prepare(`select value from meta where key = 'format'`).get() as
    | { value: string }
    | undefined;
  if (format?.value !== FORMAT)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `${path} has format ${format?.value}, this version of Mica understands ${FORMAT}; use a newer version, or another --root`,
    );
  const features = db.prepare('select name, kind from feature').all() as unknown as readonly {
    readonly name: string;
    readonly kind: FeatureKind;
  }[];
  const strange = features.filter(
    ({ name, kind }) =>
      !FEATURES[kind].includes(name) &&
      (kind === 'incompatible' || (kind === 'read-only-compatible' && !readonly)),
  );
  if (strange.length === 0) return;
  const verb = strange.some(({ kind }) => kind === 'incompatible') ? 'read' : 'write to';
  throw new MicaError(
    'FAILED_PRECONDITION',
    `${path} uses ${strange.map(({ name }) => name).join(', ')}, without which this version of Mica cannot ${verb} it; use a newer version, or another --root`,
  );
}

/** Gives a store that an earlier version made what later features add, for good. */
export function addFeatures(db: DatabaseSync): void {
  if (missingFeatures(db).length === 0) return;
  db.exec('begin immediate');
  try {
    // Another process may have been faster.
    for (const name of missingFeatures(db)) {
      db.exec(ADDITIONS[name]!);
      const kind = FEATURES.compatible.includes(name) ? 'compatible' : 'read-only-compatible';
      db.prepare('insert into feature (name, kind) values (?, ?)').run(name, kind);
    }
    db.exec('commit');
  } catch (error) {
    // A commit that finds no room has ended it already.
    if (db.isTransaction) db.exec('rollback');
    throw error;
  }
}

/** The same for this connection alone, empty: who only reads need not know. */
export function pretendFeatures(db: DatabaseSync): void {
  for (const name of missingFeatures(db))
    db.exec(ADDITIONS[name]!.replaceAll('create table', 'create temporary table'));
}

function missingFeatures(db: DatabaseSync): string[] {
  const known = db.prepare('select name from feature').all() as unknown as { name: string }[];
  return Object.keys(ADDITIONS).filter((name) => !known.some((row) => row.name === name));
}
