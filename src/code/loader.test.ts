import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtempDisposable, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Program } from './loader.ts';

const LOADER = join(import.meta.dirname, 'loader.ts');

const script = (text: string): string =>
  `(function (exports, require, module, moduleUrl) {${text}\n})`;

interface Bench {
  readonly directory: string;
  readonly cache: string;
  /** @returns what it printed; fails where it does */
  readonly run: (changes?: Partial<Program>, ...args: string[]) => string;
  /** What is kept: paths below `cache`. */
  readonly kept: () => string[];
}

async function bench(t: TestContext, files: Readonly<Record<string, string>>): Promise<Bench> {
  const home = await mkdtempDisposable(join(tmpdir(), 'code-'));
  t.after(() => home[Symbol.asyncDispose]());
  const [directory, cache] = [join(home.path, 'program'), join(home.path, 'cache')];
  await mkdir(directory);
  for (const [name, text] of Object.entries(files))
    await writeFile(join(directory, name), script(text));
  return {
    directory,
    cache,
    run(changes = {}, ...args) {
      const program: Program = { directory, main: 'main.cjs', build: 'b1', purpose: 'work', cache };
      const source = `import { runProgram } from ${JSON.stringify(LOADER)}; runProgram(${JSON.stringify({ ...program, ...changes })});`;
      const words = ['--input-type=module', '-e', source, ...args];
      return execFileSync(process.execPath, words, { encoding: 'utf8', stdio: 'pipe' });
    },
    kept: () =>
      existsSync(cache)
        ? readdirSync(cache, { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map(({ parentPath, name }) => join(parentPath, name))
        : [],
  };
}

test('scripts load each other once, know where they are, and reach modules of others', async (t) => {
  const { run, directory } = await bench(t, {
    'main.cjs': `console.log(require('./other.cjs') === require('./other.cjs'), require('./other.cjs').url, typeof require('node:fs').open)`,
    'other.cjs': 'exports.url = moduleUrl',
  });
  assert.equal(run(), `true file://${directory}/other.cjs function\n`);
});

test('functions that were compiled when they were called are kept, and used as they are', async (t) => {
  const body = Array.from({ length: 200 }, (_, n) => `s += ${n} * s;`).join('');
  const { run, kept } = await bench(t, {
    'main.cjs': `function f(s) { ${body} return s } if (process.argv.includes('call')) f(1)`,
  });
  run({ purpose: 'rest' });
  run({ purpose: 'work' }, 'call');
  const [rest, work] = ['rest', 'work'].map((name) => kept().find((path) => path.endsWith(name))!);
  assert.ok(statSync(work!).size > statSync(rest!).size + 1000);
  const before = statSync(work!, { bigint: true });
  run({ purpose: 'work' }, 'call');
  // Had it been refused, it would be another file.
  assert.equal(statSync(work!, { bigint: true }).ino, before.ino);
  assert.equal(statSync(work!, { bigint: true }).mtimeNs, before.mtimeNs);
});

test('what was called first is kept although V8 has forgotten it', async (t) => {
  const body = Array.from({ length: 200 }, (_, n) => `s += ${n} * s;`).join('');
  const { run, kept } = await bench(t, {
    'main.cjs': `function f(s) { ${body} return s }
      if (process.argv.includes('call')) f(1);
      require('node:v8').setFlagsFromString('--expose-gc');
      require('node:v8').setFlagsFromString('--stress-flush-code');
      const gc = require('node:vm').runInNewContext('gc');
      // The loader has looked when this is due.
      setTimeout(() => { gc() }, 300);`,
  });
  run({ purpose: 'rest' });
  run({ purpose: 'work' }, 'call');
  const [rest, work] = ['rest', 'work'].map((name) => kept().find((path) => path.endsWith(name))!);
  assert.ok(statSync(work!).size > statSync(rest!).size + 1000);
});

test('what is loaded later is added to what was kept before', async (t) => {
  const { run, kept } = await bench(t, {
    'main.cjs': 'for (const name of process.argv.slice(1)) require(`./${name}.cjs`)',
    'a.cjs': 'exports.a = () => 1',
    'b.cjs': 'exports.b = () => 1',
  });
  run({}, 'a');
  run({}, 'b');
  const [path] = kept();
  const { ino } = statSync(path!);
  run({}, 'a', 'b');
  assert.equal(statSync(path!).ino, ino);
});

test('a program of another build does not run what was kept of this', async (t) => {
  const { run, directory } = await bench(t, { 'main.cjs': "console.log('one')" });
  assert.equal(run(), 'one\n');
  await writeFile(join(directory, 'main.cjs'), script("console.log('two')"));
  assert.equal(run({ build: 'b2' }), 'two\n');
});

test('what another user could have written is not run', async (t) => {
  const { run, directory, kept } = await bench(t, { 'main.cjs': "console.log('one')" });
  run();
  // Of the same length: V8 cannot tell.
  await writeFile(join(directory, 'main.cjs'), script("console.log('two')"));
  assert.equal(run(), 'one\n');
  const [path] = kept();
  await chmod(path!, 0o666);
  assert.equal(run(), 'two\n');
  assert.equal(statSync(path!).mode & 0o777, 0o600);
});

for (const keep of [0, 3, 40, -1])
  test(`a pack that was cut ${keep < 0 ? 'by a byte' : `to ${keep} bytes`} is made anew`, async (t) => {
    const { run, kept } = await bench(t, { 'main.cjs': "console.log('here')" });
    run();
    const [path] = kept();
    const whole = readFileSync(path!);
    await truncate(path!, keep < 0 ? whole.length + keep : keep);
    assert.equal(run(), 'here\n');
    assert.equal(statSync(path!).size, whole.length);
  });

test('a pack that is something else is made anew', async (t) => {
  const { run, kept } = await bench(t, { 'main.cjs': "console.log('here')" });
  run();
  const [path] = kept();
  for (const bytes of ['no pack at all, but long enough', '\u0002\0\0\0{}', '\u0004\0\0\0null']) {
    await writeFile(path!, bytes);
    assert.equal(run(), 'here\n');
    assert.notEqual(readFileSync(path!, 'utf8'), bytes);
  }
});

test('nothing is kept of a program that fails, nor for a purpose that is no word', async (t) => {
  const { run, kept } = await bench(t, {
    'main.cjs': 'process.exitCode = process.argv.length - 1',
  });
  assert.throws(() => run({}, 'fail'));
  run({ purpose: '../work' });
  run({ purpose: undefined });
  assert.deepEqual(kept(), []);
});

test('a program runs where nothing can be kept', async (t) => {
  const { run, directory } = await bench(t, { 'main.cjs': "console.log('here')" });
  assert.equal(run({ cache: join(directory, 'main.cjs') }), 'here\n');
});

test('what other builds kept goes when it is a month old', async (t) => {
  const { run, cache } = await bench(t, { 'main.cjs': '' });
  const builds = (): string[] => readdirSync(cache).map((name) => name.slice(0, 2));
  run({ build: 'b1' });
  run({ build: 'b2' });
  assert.deepEqual(builds().sort(), ['b1', 'b2']);
  const old = readdirSync(cache).find((name) => name.startsWith('b1'))!;
  await utimes(join(cache, old), new Date(), new Date(Date.now() - 31 * 24 * 3600 * 1000));
  run({ build: 'b3' });
  assert.deepEqual(builds().sort(), ['b2', 'b3']);
});
