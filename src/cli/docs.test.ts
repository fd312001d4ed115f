import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXIT_CODE } from './exit-code.ts';
import { VERBS } from './verbs.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');

test('docs/cli.md has every command', () => {
  const missing = VERBS.filter(({ hidden }) => !hidden)
    .map(({ name }) => name)
    .filter((name) => !page.includes(name.includes(' ') ? `\`${name}\`` : `\`mica ${name}`));
  assert.deepEqual(missing, []);
});

test('docs/cli.md has every exit code', () => {
  const rows = [...page.matchAll(/^\| (\d+) \|.*\| ([A-Z_]+) \|$/gm)];
  const table = Object.fromEntries(rows.map(([, code, error]) => [error, Number(code)]));
  assert.deepEqual(table, EXIT_CODE);
});
