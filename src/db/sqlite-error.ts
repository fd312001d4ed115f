import { type ErrorCode, MicaError } from '../errors.ts';

/**
 * SQLite's primary result codes that a caller can act on.
 * @see https://sqlite.org/rescode.html
 */
const CODES: Readonly<Record<number, readonly [ErrorCode, advice: string]>> = {
  3: ['PERMISSION_DENIED', ''],
  5: ['UNAVAILABLE', '; another process has been writing for long, try again'],
  6: ['UNAVAILABLE', '; another process has been writing for long, try again'],
  8: ['FAILED_PRECONDITION', '; the store is open for reading only'],
  10: ['DATA_LOSS', '; the disk below the store has a fault'],
  11: ['DATA_LOSS', '; restore mica.db, or remove the store and pull again'],
  13: ['RESOURCE_EXHAUSTED', '; free some space, for example with `mica prune`'],
  14: ['NOT_FOUND', ''],
  23: ['PERMISSION_DENIED', ''],
  26: ['DATA_LOSS', '; it is not a database, restore it or remove the store and pull again'],
};

interface SqliteError extends Error {
  readonly code: 'ERR_SQLITE_ERROR';
  readonly errcode: number;
  readonly errstr: string;
}

const isSqliteError = (error: unknown): error is SqliteError =>
  error instanceof Error && (error as Partial<SqliteError>).code === 'ERR_SQLITE_ERROR';

/** SQLITE_FULL, and SQLITE_IOERR_SHMSIZE: no room for the file that processes share. */
const FULL: ReadonlySet<number> = new Set([13, 4874]);

/** Whether a statement failed because the disk is full. */
export function isFull(error: unknown): boolean {
  const origin = error instanceof MicaError ? error.cause : error;
  return isSqliteError(origin) && FULL.has(origin.errcode);
}

/** SQLITE_CANTOPEN: whether a file could not be opened or made, for whatever reason. */
export function isUnopened(error: unknown): boolean {
  const origin = error instanceof MicaError ? error.cause : error;
  return isSqliteError(origin) && (origin.errcode & 0xff) === 14;
}

/** What SQLite throws, as an error with a code; anything else comes back as it is. */
export function fromSqlite(error: unknown, path: string): unknown {
  if (!isSqliteError(error)) return error;
  const [code, advice] = CODES[isFull(error) ? 13 : error.errcode & 0xff] ?? ['INTERNAL', ''];
  return new MicaError(code, `${path}: ${error.message}${advice}`, { cause: error });
}
