import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { isCode } from '../errors.ts';
import { needs } from '../testing/need.ts';
import { getMeta } from './meta.ts';
import { openDatabase } from './open.ts';

const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-db-'));

test('a new store is for its user alone, and opens again with what was written', async () => {
  await using dir = await scratch();
  const root = join(dir.path, 'deep', 'store');
  {
    using db = await openDatabase(root);
    db.transaction(() => db.run(`insert into meta values ('driver', 'tar')`), { durable: true });
  }
  assert.equal(statSync(root).mode & 0o777, 0o700);
  using again = await openDatabase(root);
  assert.equal(getMeta(again, 'driver'), 'tar');
});

test('reading where there is no store finds nothing and makes nothing', async () => {
  await using dir = await scratch();
  const root = join(dir.path, 'store');
  using db = await openDatabase(root, { readonly: true });
  assert.equal(db.exists, false);
  assert.deepEqual(db.all('select * from image'), []);
  assert.throws(() => db.run(`insert into meta values ('driver', 'x')`), {
    code: 'FAILED_PRECONDITION',
  });
  assert.equal(existsSync(root), false);
});

test('a reader sees what is committed, not what is being written, and waits for nobody', async () => {
  await using dir = await scratch();
  using writer = await openDatabase(dir.path);
  using reader = await openDatabase(dir.path, { readonly: true });
  writer.transaction(() => {
    writer.run(`insert into meta values ('driver', 'tar')`);
    assert.equal(getMeta(reader, 'driver'), undefined);
  });
  assert.equal(getMeta(reader, 'driver'), 'tar');
  assert.throws(() => reader.run(`delete from meta`), { code: 'FAILED_PRECONDITION' });
});

test('an empty directory of ours becomes a store whatever its mode, one with content must be closed to others', async () => {
  await using dir = await scratch();
  const [empty, used] = [join(dir.path, 'empty'), join(dir.path, 'used')];
  for (const path of [empty, used]) {
    mkdirSync(path);
    chmodSync(path, 0o755);
  }
  writeFileSync(join(used, 'x'), '');
  using reader = await openDatabase(empty, { readonly: true });
  assert.equal(reader.exists, false);
  (await openDatabase(empty))[Symbol.dispose]();
  assert.equal(statSync(empty).mode & 0o777, 0o700);
  const skipped = process.platform === 'win32';
  if (!skipped) await assert.rejects(openDatabase(used), { code: 'PERMISSION_DENIED' });
  assert.deepEqual(readdirSync(used), ['x']);
});

test('a directory that is closed to others, and somebody’s, does not become a store', async () => {
  await using dir = await scratch();
  for (const name of ['letters', 'mica.txt', '.ssh']) {
    const used = join(dir.path, `with-${name}`);
    mkdirSync(used, { mode: 0o700 });
    writeFileSync(join(used, name), '');
    await assert.rejects(openDatabase(used), {
      code: 'FAILED_PRECONDITION',
      message: new RegExp(`not a store: it has ${name} .*--root`),
    });
    assert.deepEqual(readdirSync(used), [name]);
  }
});

test('what is new, begun and killed, or a file system of its own becomes a store', async () => {
  await using dir = await scratch();
  for (const names of [
    ['lock', 'mica.db.0123.new'],
    ['lost+found'],
    ['content', 'leases', 'run'],
  ]) {
    const root = join(dir.path, names.join('-'));
    mkdirSync(root, { mode: 0o700 });
    for (const name of names) writeFileSync(join(root, name), '');
    (await openDatabase(root))[Symbol.dispose]();
    assert.ok(readdirSync(root).includes('mica.db'));
    // What was begun is nobody's: whoever makes the database is alone.
    if (process.platform === 'linux')
      assert.deepEqual(
        readdirSync(root).filter((name) => name.endsWith('.new')),
        [],
      );
  }
});

test('a directory of another user is refused', { skip: needs('root') }, async () => {
  await using dir = await scratch();
  const root = join(dir.path, 'store');
  (await openDatabase(root))[Symbol.dispose]();
  const { chownSync } = await import('node:fs');
  chownSync(root, 12_345, 12_345);
  for (const readonly of [false, true])
    await assert.rejects(openDatabase(root, { readonly }), { code: 'PERMISSION_DENIED' });
});

/** What a newer version might have added, and whether this one may then read, and write. */
const CHANGES = [
  [`insert into feature values ('x', 'compatible')`, true, true],
  [`insert into feature values ('x', 'read-only-compatible')`, true, false],
  [`insert into feature values ('x', 'incompatible')`, false, false],
  [`update meta set value = '2' where key = 'format'`, false, false],
  [`pragma application_id = 7`, false, false],
] as const;

for (const [sql, reads, writes] of CHANGES)
  test(`after "${sql}" a store opens for ${reads ? '' : 'neither '}reading ${reads && !writes ? 'only' : writes ? 'and writing' : 'nor writing'}`, async () => {
    await using dir = await scratch();
    (await openDatabase(dir.path))[Symbol.dispose]();
    {
      using raw = new DatabaseSync(join(dir.path, 'mica.db'));
      raw.exec(sql);
    }
    const opens = async (readonly: boolean): Promise<boolean> => {
      try {
        using _ = await openDatabase(dir.path, { readonly });
        return true;
      } catch (error) {
        assert.ok(isCode(error, 'FAILED_PRECONDITION'), String(error));
        return false;
      }
    };
    assert.deepEqual([await opens(true), await opens(false)], [reads, writes]);
  });

test('a file that is no database is called damaged', async () => {
  await using dir = await scratch();
  writeFileSync(join(dir.path, 'mica.db'), 'something else '.repeat(1000));
  for (const readonly of [false, true])
    await assert.rejects(openDatabase(dir.path, { readonly }), { code: 'DATA_LOSS' });
});

test('processes that create a store at once all get the same one', async () => {
  await using dir = await scratch();
  const root = join(dir.path, 'store');
  const program = `
    const { openDatabase } = await import(${JSON.stringify(import.meta.resolve('./open.ts'))});
    using db = await openDatabase(${JSON.stringify(root)});
    console.log(db.get("select value from meta where key = 'id'").value);`;
  const run = promisify(execFile);
  const outputs = await Promise.all(
    Array.from({ length: 4 }, () => run(process.execPath, ['--input-type=module', '-e', program])),
  );
  assert.equal(new Set(outputs.map(({ stdout }) => stdout)).size, 1);
  assert.deepEqual(
    readdirSync(root).filter((name) => name.includes('new')),
    [],
  );
});

test(
  'one is alone with a store when nobody else has it open for writing',
  { skip: needs('linux') },
  async () => {
    await using dir = await scratch();
    using db = await openDatabase(dir.path);
    const reader = await openDatabase(dir.path, { readonly: true });
    {
      using other = await openDatabase(dir.path);
      const waited: (readonly string[])[] = [];
      const onWait = (holders: readonly string[]): void => void waited.push(holders);
      await assert.rejects(db.alone({ patience: 20, onWait }), { code: 'UNAVAILABLE' });
      assert.equal(waited.length, 1);
      const signal = AbortSignal.timeout(20);
      await assert.rejects(db.alone({ signal }), { name: 'TimeoutError' });
      assert.equal(other.exists, true);
      // The attempts have cost nobody their share.
      await assert.rejects(other.alone({ patience: 0 }), { code: 'UNAVAILABLE' });
    }
    {
      using _ = await db.alone();
      assert.equal(reader.get<{ one: number }>('select 1 as one')?.one, 1);
    }
    using again = await openDatabase(dir.path);
    assert.equal(again.exists, true);
    reader[Symbol.dispose]();
  },
);

test(
  'who comes while one is alone waits until that has ended',
  { skip: needs('linux') },
  async () => {
    await using dir = await scratch();
    using db = await openDatabase(dir.path);
    const alone = await db.alone();
    let isOpen = false;
    const opening = openDatabase(dir.path).then((other) => {
      isOpen = true;
      return other;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(isOpen, false);
    alone[Symbol.dispose]();
    using other = await opening;
    assert.equal(other.exists, true);
  },
);
test('a store without the compatible features gets them when it is opened for writing, and reads as if it had them before', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-db-'));
  const root = join(dir.path, 'store');
  (await openDatabase(root))[Symbol.dispose]();
  const raw = new DatabaseSync(join(root, 'mica.db'));
  raw.exec(`drop table recipe; drop table dropped; delete from feature where name = 'recipes'`);
  raw.close();
  {
    using db = await openDatabase(root, { readonly: true });
    assert.deepEqual(db.all('select * from dropped'), []);
    assert.deepEqual(db.all(`select 1 from feature where name = 'recipes'`), []);
  }
  using one = await openDatabase(root);
  using two = await openDatabase(root);
  one.run(`insert into dropped values ('sha256:a', 1, 'refetch', '[]', 0)`);
  assert.equal(two.all('select * from dropped').length, 1);
  assert.equal(two.all(`select 1 from feature where name = 'recipes'`).length, 1);
});
