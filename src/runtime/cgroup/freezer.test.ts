import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setFrozen } from './freezer.ts';

test('what is gone with its groups need not be thawed, and cannot be frozen', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-freezer-'));
  const gone = { freezer: join(dir.path, 'gone') } as Parameters<typeof setFrozen>[0];
  await setFrozen(gone, false);
  await assert.rejects(setFrozen(gone, true), { code: 'NOT_FOUND' });
});
