import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

test('a container that ends when its store is gone makes none', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-ended-'));
  const root = join(dir.path, 'store');
  execFileSync(process.execPath, [join(import.meta.dirname, 'ended.ts'), root, 'a'.repeat(64)]);
  assert.equal(existsSync(root), false);
});
