import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { watchDurability } from '../testing/durability.ts';
import { needs } from '../testing/need.ts';
import { openWholeFile } from './whole-file.ts';

test(
  'a file is on the disk before it has its name, and the name when it is finished',
  { skip: needs('linux') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-whole-'));
    const path = join(dir.path, 'file');
    await using watched = await watchDurability();
    await using file = await openWholeFile(path);
    await file.write(Buffer.from('content'));
    assert.equal(watched.steps.length, 0);
    await file.finish();
    const temporary = watched.steps[0]!.slice('sync '.length);
    assert.deepEqual(watched.steps, [
      `sync ${temporary}`,
      `rename ${temporary} ${path}`,
      `sync ${dir.path}`,
    ]);
    assert.equal(readFileSync(path, 'utf8'), 'content');
  },
);

test('what is not finished leaves what was there', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-whole-'));
  const path = join(dir.path, 'file');
  writeFileSync(path, 'old');
  {
    await using file = await openWholeFile(path);
    await file.write(Buffer.from('new'));
  }
  assert.equal(readFileSync(path, 'utf8'), 'old');
  assert.deepEqual(readdirSync(dir.path), ['file']);
});
