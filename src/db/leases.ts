import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type HeldLock, holdLock, isHeld, tryLock } from '../sys/alive.ts';
import { fromNode } from '../sys/errno.ts';
import type { Database } from './database.ts';

/** What may be held so that garbage collection passes it by: blobs by digest, layers by key. */
export type HoldKind = 'blob' | 'layer';

/**
 * A running operation, as other processes see it: a file that is locked for as long as its process
 * lives, and a row. Rows in progress name the lease that works on them; once nobody holds its file,
 * anybody may finish or undo them.
 */
export interface Lease extends Disposable {
  readonly id: string;
  /**
   * Keeps these from garbage collection until the lease ends, whether they are there already or
   * not. Hold first, then look.
   */
  hold(kind: HoldKind, keys: readonly string[]): void;
  /** Ends the lease. Harmless when repeated. */
  [Symbol.dispose](): void;
}

export class Leases {
  readonly #db: Database;
  readonly #directory: string;
  readonly #mine = new Set<string>();

  constructor(db: Database) {
    this.#db = db;
    this.#directory = join(db.root, 'leases');
  }

  /** @param purpose - for people: `pull docker.io/library/redis:latest` */
  open(purpose: string): Lease {
    // Nothing is collected by who can only read.
    if (this.#db.readonly) return { id: '', hold: () => {}, [Symbol.dispose]: () => {} };
    const id = randomBytes(12).toString('hex');
    const lock = this.#lock(id);
    try {
      this.#db.run(
        'insert into lease (id, purpose, pid, created) values (?, ?, ?, ?)',
        id,
        purpose,
        process.pid,
        Date.now(),
      );
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
    this.#mine.add(id);
    return {
      id,
      hold: (kind, keys) => this.#hold(id, kind, keys),
      [Symbol.dispose]: () => this.#end(id, lock),
    };
  }

  /** Whether the process that opened the lease lives, and has not ended it. */
  isAlive(id: string): boolean {
    return this.#mine.has(id) || isHeld(join(this.#directory, id));
  }

  /** Everything of one kind that a living lease holds. */
  held(kind: HoldKind): Set<string> {
    const rows = this.#db.all<{ lease: string; key: string }>(
      'select lease, key from held where kind = ?',
      kind,
    );
    const alive = new Map<string, boolean>();
    for (const { lease } of rows) if (!alive.has(lease)) alive.set(lease, this.isAlive(lease));
    return new Set(rows.filter(({ lease }) => alive.get(lease)).map(({ key }) => key));
  }

  /**
   * Forgets leases whose process died. Whoever keeps rows in progress claims those of dead leases
   * first: their lease is dead with or without its row.
   */
  sweep(): void {
    for (const { id } of this.#db.all<{ id: string }>('select id from lease'))
      if (!this.isAlive(id)) this.#db.run('delete from lease where id = ?', id);
    for (const name of this.#files()) this.#removeDead(name);
  }

  #lock(id: string): HeldLock {
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      return holdLock(join(this.#directory, id));
    } catch (error) {
      throw fromNode(error);
    }
  }

  #hold(id: string, kind: HoldKind, keys: readonly string[]): void {
    this.#db.transaction(() => {
      for (const key of keys)
        this.#db.run(
          'insert or ignore into held (lease, kind, key) values (?, ?, ?)',
          id,
          kind,
          key,
        );
    });
  }

  #end(id: string, lock: HeldLock): void {
    if (!this.#mine.delete(id)) return;
    try {
      this.#db.run('delete from lease where id = ?', id);
    } catch {
      // On a full disk, for example: without its file the row is dead, and swept some time. What the
      // operation itself failed with is more worth telling.
    } finally {
      lock[Symbol.dispose]();
    }
  }

  #files(): string[] {
    try {
      return readdirSync(this.#directory);
    } catch {
      return [];
    }
  }

  /** A file that is being made has its row only a moment later: a lock that is held says enough. */
  #removeDead(name: string): void {
    const path = join(this.#directory, name);
    if (this.#mine.has(name) || isHeld(path)) return;
    if (!name.endsWith('.new')) tryLock(path)?.[Symbol.dispose]();
    else if (ageOf(path) > NEWBORN) rmSync(path, { force: true });
  }
}

/** How long a lock file may take from being created to being locked, in milliseconds. */
const NEWBORN = 60_000;

const ageOf = (path: string): number =>
  Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
