import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { Reserve } from './reserve.ts';
import type { AloneOptions, RootLock } from './root-directory.ts';
import { fromSqlite } from './sqlite-error.ts';

/**
 * `mica.db`: the truth about a store. Names, parents, states and holds are here; everything else
 * can be computed again from blobs.
 *
 * Statements are prepared once each. A statement outside of {@link transaction} is one of its own.
 */
export class Database implements Disposable {
  /** The store's directory. */
  readonly root: string;
  readonly readonly: boolean;
  /** `false`: there is no store yet, and nothing in here. */
  readonly exists: boolean;
  readonly #path: string;
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #reserve: Reserve;
  readonly #lock: RootLock | undefined;
  #closed = false;

  constructor(db: DatabaseSync, facts: DatabaseFacts) {
    this.#db = db;
    this.#path = facts.path;
    this.#reserve = new Reserve(facts.root);
    this.#lock = facts.lock;
    this.root = facts.root;
    this.readonly = facts.readonly;
    this.exists = facts.exists;
  }

  /** All rows. `Row` is the caller's claim about the columns that he selects. */
  all<Row extends object>(sql: string, ...values: readonly SQLInputValue[]): Row[] {
    return this.#do(() => this.#prepare(sql).all(...values)) as unknown as Row[];
  }

  /** The first row, if any. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names the columns
  get<Row extends object>(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#do(() => this.#prepare(sql).get(...values)) as unknown as Row | undefined;
  }

  /** @returns how many rows changed */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#do(() => this.#prepare(sql).run(...values)).changes);
  }

  /**
   * Runs `body` in one `BEGIN IMMEDIATE` transaction: no other process writes between its reads
   * and its writes. `body` is synchronous, short, does no physical work and starts no other
   * transaction. If it throws, nothing happened; it may be run a second time on a full disk.
   */
  transaction<T>(body: () => T, { durable = false }: TransactionOptions = {}): T {
    demand(!this.#db.isTransaction, 'transactions do not nest');
    return this.#do(() => {
      // Only outside of a transaction may this be changed; a durable commit makes earlier ones durable, too.
      if (durable) this.#db.exec('pragma synchronous = full');
      try {
        this.#db.exec('begin immediate');
        const result = body();
        demand(!(result instanceof Promise), 'a transaction is synchronous');
        this.#db.exec('commit');
        return result;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('rollback');
        throw error;
      } finally {
        if (durable) this.#db.exec('pragma synchronous = normal');
      }
    });
  }

  /** Fails when called outside of {@link transaction}: for steps that are one with others. */
  assertTransaction(): void {
    demand(this.#db.isTransaction, 'this step belongs into a transaction');
  }

  /**
   * Waits until nobody else has the store open for writing, and keeps it so until what is returned
   * is disposed. Readers are not kept out.
   * @throws UNAVAILABLE when others go on using it
   */
  async alone(options: AloneOptions = {}): Promise<Disposable> {
    demand(this.#lock, 'only who writes can be alone');
    return this.#lock.alone(options);
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    this.#db.close();
    this.#lock?.[Symbol.dispose]();
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #do<T>(action: () => T): T {
    try {
      // A statement of a transaction is not repeated by itself: SQLite may have ended that.
      return this.#db.isTransaction ? action() : this.#reserve.lend(action);
    } catch (error) {
      throw fromSqlite(error, this.#path);
    }
  }
}

/** For mistakes of ours. `node:assert` takes longer to load than most commands run. */
function demand(holds: unknown, rule: string): asserts holds {
  if (!holds) throw new Error(rule);
}

export interface TransactionOptions {
  /** On the disk before this returns: for what must survive a power loss. */
  readonly durable?: boolean;
}

export interface DatabaseFacts {
  readonly root: string;
  readonly path: string;
  readonly readonly: boolean;
  readonly exists: boolean;
  /** Held, shared, by who may write. */
  readonly lock?: RootLock;
}
