import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveConfig } from './config.ts';

test('a root that is empty is refused, and not the directory that one stands in', async () => {
  await assert.rejects(resolveConfig({ root: '' }, {}), { code: 'INVALID_ARGUMENT' });
});

test('an empty MICA_ROOT is none', async () => {
  const [empty, none] = [await resolveConfig({}, { MICA_ROOT: '' }), await resolveConfig({}, {})];
  assert.equal(empty.root, none.root);
  assert.equal((await resolveConfig({}, { MICA_ROOT: '/a' })).root, '/a');
});

test('a variable that is set to nothing is none', async () => {
  const config = await resolveConfig({}, { MICA_CONFIG: '', MICA_STORAGE_DRIVER: '' });
  assert.equal(config.driver, (await resolveConfig({}, {})).driver);
});
