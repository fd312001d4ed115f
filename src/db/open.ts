import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { hasKernel } from '../sys/binding.ts';
import { fromNode } from '../sys/errno.ts';
import { makeInPlace } from '../sys/in-place.ts';
import { syncDirectory, syncFile } from '../sys/sync.ts';
import { Database } from './database.ts';
import { addFeatures, checkFormat, createFormat, pretendFeatures } from './format.ts';
import { checkRoot, makeRoot, RootLock } from './root-directory.ts';
import { Reserve } from './reserve.ts';
import { fromSqlite } from './sqlite-error.ts';

export interface OpenDatabaseOptions {
  /**
   * Takes no lock, creates nothing, and finds nothing where there is no store yet. Also while
   * others write.
   */
  readonly readonly?: boolean;
}

/** How long a transaction waits for those of other processes, in milliseconds. All are short. */
const BUSY_TIMEOUT = 15_000;

/** Opens the database of the store at `root`, creating both where there is none. */
export async function openDatabase(
  root: string,
  options: OpenDatabaseOptions = {},
): Promise<Database> {
  const path = join(root, 'mica.db');
  try {
    return options.readonly ? openForReading(root, path) : await openForWriting(root, path);
  } catch (error) {
    throw fromSqlite(error, path);
  }
}

function openForReading(root: string, path: string): Database {
  if (!checkRoot(root) || !existsSync(path)) {
    const empty = new DatabaseSync(':memory:');
    createFormat(empty);
    empty.exec('pragma query_only = on');
    return new Database(empty, { root, path, readonly: true, exists: false });
  }
  const db = new Reserve(root).lend(() => connectForReading(path));
  return new Database(checked(db, path, true), { root, path, readonly: true, exists: true });
}

/** On a file system that is itself read-only, SQLite cannot even make the file that it shares with writers. */
function connectForReading(path: string): DatabaseSync {
  try {
    makeShared(path);
    const db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT });
    db.prepare('pragma schema_version').get();
    return db;
  } catch (error) {
    const immutable = pathToFileURL(path);
    immutable.searchParams.set('immutable', '1');
    if (existsSync(`${path}-wal`) && statSync(`${path}-wal`).size > 0) throw error;
    return new DatabaseSync(immutable, { readOnly: true });
  }
}

async function openForWriting(root: string, path: string): Promise<Database> {
  makeRoot(root);
  const lock = new RootLock(join(root, 'lock'));
  try {
    if (!existsSync(path)) await create(path, lock);
    await lock.take('shared');
    const reserve = new Reserve(root);
    const db = reserve.lend(() => connectForWriting(path));
    reserve.fill();
    return new Database(db, { root, path, readonly: false, exists: true, lock });
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

function connectForWriting(path: string): DatabaseSync {
  makeShared(path);
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT, enableForeignKeyConstraints: true });
  checked(db, path, false).exec('pragma synchronous = normal');
  return db;
}

/** What all processes have mapped while they have the database open. */
const makeShared = (path: string): void =>
  makeInPlace(`${path}-shm`, join(path, '..'), statSync(path).mode & 0o777);

function checked(db: DatabaseSync, path: string, readonly: boolean): DatabaseSync {
  try {
    checkFormat(db, path, readonly);
    if (readonly) pretendFeatures(db);
    else addFeatures(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Complete before it has its name: nobody ever opens half a database. */
async function create(path: string, lock: RootLock): Promise<void> {
  await lock.take('exclusive');
  if (existsSync(path)) return;
  removeUnfinished(path);
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    const db = new DatabaseSync(temporary);
    db.exec('pragma synchronous = off; pragma journal_mode = wal');
    createFormat(db);
    db.close();
    syncFile(temporary);
    renameSync(temporary, path);
    syncDirectory(join(path, '..'));
  } catch (error) {
    for (const suffix of ['', '-wal', '-shm']) rmSync(temporary + suffix, { force: true });
    throw fromNode(error);
  }
}

/** What a process has left that was killed while it made the database. Whoever has the lock is alone. */
function removeUnfinished(path: string): void {
  if (!hasKernel()) return;
  const root = dirname(path);
  for (const name of readdirSync(root))
    if (name.startsWith(`${basename(path)}.`) && /\.new(?:-wal|-shm)?$/.test(name))
      rmSync(join(root, name));
}
