import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Database } from './database.ts';
import { getMeta, setMeta } from './meta.ts';
import { openDatabase } from './open.ts';

async function opened(): Promise<
  AsyncDisposable & { readonly db: Database; readonly path: string }
> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'mica-db-'));
  const db = await openDatabase(dir.path);
  return {
    db,
    path: dir.path,
    async [Symbol.asyncDispose]() {
      db[Symbol.dispose]();
      await dir.remove();
    },
  };
}

test('a transaction that throws has not happened', async () => {
  await using store = await opened();
  const { db } = store;
  assert.throws(
    () =>
      db.transaction(() => {
        setMeta(db, 'driver', 'x');
        throw new Error('no');
      }),
    { message: 'no' },
  );
  assert.equal(getMeta(db, 'driver'), undefined);
  db.transaction(() => setMeta(db, 'driver', 'y'));
  assert.equal(getMeta(db, 'driver'), 'y');
});

test('transactions do not nest, and are not asynchronous', async () => {
  await using store = await opened();
  const { db } = store;
  assert.throws(() => db.transaction(() => db.transaction(() => 1)), /do not nest/);
  assert.throws(() => db.transaction(async () => setMeta(db, 'driver', 'x')), /synchronous/);
  assert.equal(getMeta(db, 'driver'), undefined);
});

test('only a durable transaction waits for the disk', async () => {
  await using store = await opened();
  const { db } = store;
  const level = (): number => db.get<{ synchronous: number }>('pragma synchronous')!.synchronous;
  const [normal, full] = [1, 2];
  assert.equal(level(), normal);
  assert.equal(db.transaction(level, { durable: true }), full);
  assert.equal(level(), normal);
  assert.throws(() => db.transaction(() => assert.fail('x'), { durable: true }));
  assert.equal(level(), normal);
});

test('nothing slips between what a transaction reads and what it writes', async () => {
  await using store = await opened();
  using other = await openDatabase(store.path);
  const { db } = store;
  const next = (on: Database): void => {
    on.transaction(() => setMeta(on, 'generation', String(Number(getMeta(on, 'generation')) + 1)));
  };
  for (let i = 0; i < 50; i++) {
    next(db);
    next(other);
  }
  assert.equal(getMeta(db, 'generation'), '100');
});

test('disposing twice is harmless', async () => {
  await using store = await opened();
  store.db[Symbol.dispose]();
  store.db[Symbol.dispose]();
});
