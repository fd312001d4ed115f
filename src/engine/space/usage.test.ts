import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { blob, reopenable } from '../../testing/content.ts';
import { resolveConfig } from '../config.ts';
import { Context } from '../context.ts';
import { gc } from './gc.ts';
import { usage } from './usage.ts';

test('what came less than a day ago is freed by a collection of tomorrow, and the usage says when', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-usage-'));
  const root = join(dir.path, 'store');
  await using context = new Context(await resolveConfig({ root, driver: 'tar' }, {}));
  const { content, db } = await context.store();
  const [target, bytes] = blob('x'.repeat(4096));
  await content.push(target, reopenable(bytes));

  const today = await usage(context);
  assert.deepEqual([today.reclaimable, today.reclaimableLater], [0, 4096]);
  assert.deepEqual((await gc(context)).blobs, []);

  db.run('update blob set created = created - ?', 2 * 24 * 60 * 60 * 1000);
  const tomorrow = await usage(context);
  assert.deepEqual([tomorrow.reclaimable, tomorrow.reclaimableLater], [4096, 0]);
  const { blobs, bytes: freed } = await gc(context);
  assert.deepEqual([blobs, freed], [[target.digest], 4096]);
});
