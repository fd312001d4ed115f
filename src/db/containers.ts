import { MicaError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Database } from './database.ts';

/** A container as the database has it. Whether it runs, its directory says. */
export interface ContainerRow {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** ID of the image it stands on; it keeps that from being removed. */
  readonly image: Digest;
  /** JSON of what was asked for. */
  readonly settings: string;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** Newest first. */
export const listContainers = (db: Database): ContainerRow[] =>
  db.all<ContainerRow>('select * from container order by created desc, id');

export const findContainer = (db: Database, id: string): ContainerRow | undefined =>
  db.get<ContainerRow>('select * from container where id = ?', id);

export const containersOf = (db: Database, image: Digest): ContainerRow[] =>
  db.all<ContainerRow>('select * from container where image = ? order by created', image);

/**
 * By ID, name, or the unambiguous beginning of an ID, in this order, as docker does.
 * @throws NOT_FOUND; INVALID_ARGUMENT when a beginning fits several
 */
export function getContainer(db: Database, name: string): ContainerRow {
  const exact = db.get<ContainerRow>(
    'select * from container where id = ?1 or name = ?2 order by id = ?1 desc',
    name,
    name.replace(/^\//, ''),
  );
  if (exact !== undefined) return exact;
  const [first, second] = /^[0-9a-f]{1,63}$/.test(name)
    ? db.all<ContainerRow>('select * from container where id glob ? limit 2', `${name}*`)
    : [];
  if (second !== undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `the container ID ${name} is ambiguous; give more of its digits`,
    );
  if (first !== undefined) return first;
  throw new MicaError('NOT_FOUND', `no such container: ${name}; \`mica ps -a\` lists what is here`);
}

/** @throws ALREADY_EXISTS when the name is taken; NOT_FOUND when the image has gone meanwhile */
export function insertContainer(
  db: Database,
  row: ContainerRow,
  { durable }: { readonly durable: boolean },
): void {
  db.transaction(
    () => {
      refuseTaken(db, row.name);
      if (db.get('select 1 from image where id = ?', row.image) === undefined)
        throw new MicaError('NOT_FOUND', `image ${row.image} is not in the store any more`);
      db.run(
        'insert into container (id, name, image, settings, created) values (?, ?, ?, ?, ?)',
        row.id,
        row.name,
        row.image,
        row.settings,
        row.created,
      );
    },
    { durable },
  );
}

/** @throws ALREADY_EXISTS */
export function renameContainer(db: Database, id: string, name: string): void {
  db.transaction(
    () => {
      refuseTaken(db, name);
      db.run('update container set name = ? where id = ?', name, id);
    },
    { durable: true },
  );
}

export const deleteContainer = (db: Database, id: string): void =>
  void db.run('delete from container where id = ?', id);

function refuseTaken(db: Database, name: string): void {
  const other = db.get<{ id: string }>('select id from container where name = ?', name);
  if (other !== undefined)
    throw new MicaError(
      'ALREADY_EXISTS',
      `the name ${name} is in use by container ${other.id.slice(0, 12)}; remove or rename that one first`,
    );
}
