import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CANDIDATES } from '../../snapshot/drivers/candidates.ts';
import { drivers } from './table.ts';

const names: ReadonlySet<string> = new Set(drivers.map(({ name }) => name));

test('every driver that a store may have is in the table of tests', () => {
  const missing = CANDIDATES.filter(({ name }) => !names.has(name));
  assert.deepEqual(missing, []);
});

test('every driver of the table is tested by a file of its own', () => {
  const directory = join(import.meta.dirname, '../../snapshot/drivers/suites');
  const files = globSync('*.test.ts', { cwd: directory });
  const text = files.map((file) => readFileSync(join(directory, file), 'utf8')).join('');
  const tested = [...text.matchAll(/driverNamed\('([^']*)'\)/g)].map(([, name]) => name);
  assert.deepEqual(new Set(tested), names);
});
