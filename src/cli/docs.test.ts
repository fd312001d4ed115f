import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { EXIT_CODE } from './exit-code.ts';
import { VERBS } from './verbs.ts';

const ROOT = join(import.meta.dirname, '../..');
const page = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8');

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

test('every decision has a number of its own, and says it in its title', () => {
  const directory = join(ROOT, 'docs/decisions');
  const names = readdirSync(directory);
  const numbers = names.map((name) => name.slice(0, 3));
  assert.deepEqual([...new Set(numbers)], numbers);
  const untitled = names.filter(
    (name) => !readFileSync(join(directory, name), 'utf8').startsWith(`# ${name.slice(0, 3)} · `),
  );
  assert.deepEqual(untitled, []);
});

test('a page links to no page that is not there', () => {
  const pages = globSync(['*.md', '{docs,bench}/**/*.md'], { cwd: ROOT });
  const broken = pages.flatMap((name) =>
    [...readFileSync(join(ROOT, name), 'utf8').matchAll(/\]\(([\w./-]+\.md)(?:#[^)]*)?\)/g)]
      .map(([, link]) => join(dirname(name), link!))
      .filter((target) => !existsSync(join(ROOT, target)))
      .map((target) => `${name}: ${target}`),
  );
  assert.deepEqual(broken, []);
});
