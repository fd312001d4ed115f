import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/** Who may import whom: a folder imports itself and anything on a lower line. This table is the architecture. */
const LINES: readonly (readonly string[])[] = [
  ['errors', 'code'],
  ['oci'],
  ['sys'],
  ['io', 'db'],
  ['tar', 'fs', 'deflate'],
  ['windows'],
  ['erofs'],
  ['content', 'registry', 'snapshot'],
  ['layer', 'union'],
  ['image'],
  ['runtime', 'explain'],
  ['container'],
  ['engine'],
  ['build'],
  ['testing'],
  ['daemon', 'distribution', 'explorer', 'containerd'],
  ['cli'],
];
/** Sideways imports that are part of the design: a repository *is* a `Source` and a `Sink`. */
const ALSO: Readonly<Record<string, readonly string[]>> = { registry: ['content'] };

const home = (path: string): string => path.split('/')[0]!.replace(/(\.test)?\.ts$/, '');
const lineOf = (folder: string): number => LINES.findIndex((line) => line.includes(folder));

const IMPORT =
  /(?:^|[\s;}])(?:import|export)\s[^'"();]*?from\s*['"](\.[^'"]+)['"]|import\(\s*['"](\.[^'"]+)['"]|^import\s+['"](\.[^'"]+)['"]/gm;

interface Import {
  readonly file: string;
  readonly to: string;
}

async function* sources(): AsyncGenerator<{ file: string; text: string }> {
  for await (const file of glob('**/*.ts', { cwd: import.meta.dirname }))
    yield { file, text: await readFile(join(import.meta.dirname, file), 'utf8') };
}

async function imports(): Promise<Import[]> {
  const found: Import[] = [];
  for await (const { file, text } of sources())
    for (const [, from, dynamic, bare] of text.matchAll(IMPORT))
      found.push({ file, to: normalize(join(dirname(file), (from ?? dynamic ?? bare)!)) });
  return found;
}

const isTest = (file: string): boolean => file.endsWith('.test.ts');

test('imports point downwards only', async () => {
  const wrong: string[] = [];
  for (const { file, to } of await imports()) {
    const [from, target] = [home(file), home(to)];
    if (from === 'index' || from === 'architecture' || from === target) continue;
    if (isTest(file) && (target === 'testing' || target === 'distribution')) continue;
    assert.notEqual(lineOf(from), -1, `${file}: the folder ${from} is not in the table`);
    if (lineOf(target) >= lineOf(from) && !ALSO[from]?.includes(target))
      wrong.push(`${file} imports ${to}`);
  }
  assert.deepEqual(wrong, []);
});

test('a driver knows the driver interface and lower lines, nothing else of snapshot/', async () => {
  const wrong = (await imports()).filter(
    ({ file, to }) =>
      /^snapshot\/drivers\/(?!index)/.test(file) &&
      !isTest(file) &&
      home(to) === 'snapshot' &&
      !to.startsWith('snapshot/drivers/') &&
      to !== 'snapshot/driver.ts',
  );
  assert.deepEqual(wrong, []);
});

test('the library knows nothing of the suites that are published beside it', async () => {
  const wrong = (await imports()).filter(
    ({ file, to }) => file === 'index.ts' && to.startsWith('testing/'),
  );
  assert.deepEqual(wrong, []);
});

/** Threads and processes that are started by the path of their module, of which imports say nothing. */
const STARTED = /'\.\/([\w-]+)\.ts' : '\.\/\1\.js'/g;

test('what the library starts by its path is published with it', async () => {
  const settings = join(import.meta.dirname, '../scripts/tsconfig.lib.json');
  const { files } = JSON.parse(await readFile(settings, 'utf8')) as { files: string[] };
  const started: string[] = [];
  for await (const { file, text } of sources())
    for (const [, name] of text.matchAll(STARTED))
      started.push(`../src/${join(dirname(file), name!)}.ts`);
  assert.ok(started.length > 0);
  assert.deepEqual(
    started.filter((file) => !files.includes(file)),
    [],
  );
});

/** Text that only these files may contain. */
const ONLY: readonly (readonly [what: string, pattern: RegExp, where: RegExp])[] = [
  ['native code', /(?:from|import\()\s*['"]koffi['"]/, /^sys\/binding\.ts$/],
  [
    'the environment',
    /\bprocess\.env\b/,
    /^(?:engine\/config|registry\/credentials|testing\/need)\.ts$/,
  ],
  ['the console', /\bconsole\.|process\.std(?:out|err|in)\b/, /^cli\//],
];

for (const [what, pattern, where] of ONLY)
  test(`${what} is reached from ${where.source} only`, async () => {
    const wrong: string[] = [];
    for await (const { file, text } of sources())
      if (!isTest(file) && !where.test(file) && pattern.test(text)) wrong.push(file);
    assert.deepEqual(wrong, []);
  });
