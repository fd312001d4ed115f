import assert from 'node:assert/strict';
import { symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { tar } from './tar.ts';

test('what a layer takes is told also while its files get their names', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'mica-tar-'));
  await using driver = tar(root.path);
  const layer = { id: '1', kind: 'committed', parents: [] } as const;
  await driver.create(layer);
  writeFileSync(join(root.path, '1', 'layer.tar'), 'x');
  // As one that was listed a moment ago and has another name now.
  symlinkSync('index.erofs', join(root.path, '1', 'index.erofs.new'));
  assert.equal((await driver.usage(layer)).inodes, 2);
});
