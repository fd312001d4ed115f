import assert from 'node:assert/strict';
import { mkdtempDisposable, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../db/open.ts';
import { openEngine } from './open.ts';

test('a store that could not be opened is opened by a later call', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-context-'));
  const root = join(directory.path, 'store');
  await using engine = await openEngine({ root, driver: 'tar' });
  await writeFile(root, 'no directory');
  await assert.rejects(engine.driver());
  await assert.rejects(engine.images());
  await rm(root);
  assert.equal(await engine.driver(), 'tar');
  assert.deepEqual(await engine.images(), []);
});

test('an engine that could not open its store does not keep others out', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-context-'));
  const root = join(directory.path, 'store');
  {
    await using first = await openEngine({ root, driver: 'tar' });
    await first.driver();
  }
  await using engine = await openEngine({ root, driver: 'vfs' });
  await assert.rejects(engine.driver(), { code: 'FAILED_PRECONDITION' });
  using db = await openDatabase(root);
  using _ = await db.alone({ patience: 0 });
});
