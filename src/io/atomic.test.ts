import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeAtomic } from './atomic.ts';

const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-atomic-'));

test('a file is replaced as a whole, with the mode asked for, and nothing else is left', async () => {
  await using dir = await scratch();
  const path = join(dir.path, 'file');
  for (const [content, durable] of [
    ['old', true],
    ['new', false],
  ] as const) {
    writeAtomic(path, content, { mode: 0o600, durable });
    assert.equal(readFileSync(path, 'utf8'), content);
  }
  if (process.platform !== 'win32') assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(dir.path), ['file']);
});

test('what cannot be written leaves the old file, and no other', async () => {
  await using dir = await scratch();
  assert.throws(() => writeAtomic(join(dir.path, 'none', 'file'), 'x'), { code: 'NOT_FOUND' });
  const taken = join(dir.path, 'taken');
  mkdirSync(taken);
  writeFileSync(join(taken, 'inside'), '');
  assert.throws(() => writeAtomic(taken, 'x'));
  assert.deepEqual(readdirSync(dir.path), ['taken']);
});
