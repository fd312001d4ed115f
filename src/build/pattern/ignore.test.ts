import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGlob } from './glob.ts';
import { ignoring, parseIgnoreFile } from './ignore.ts';

/** Of Go's own tests of `path.Match`, and of Docker's of its patterns. */
const GLOBS: readonly (readonly [
  pattern: string,
  text: string,
  matches: boolean,
  deep?: boolean,
])[] = [
  ['abc', 'abc', true],
  ['*', 'abc', true],
  ['*c', 'abc', true],
  ['a*', 'ab/c', false],
  ['a*/b', 'abc/b', true],
  ['a*/b', 'a/c/b', false],
  ['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
  ['a*b*c*d*e*/f', 'axbxcxdxe/xxx/f', false],
  ['a*b?c*x', 'abxbbxdbxebxczzx', true],
  ['a*b?c*x', 'abxbbxdbxebxczzy', false],
  ['ab[c]', 'abc', true],
  ['ab[b-d]', 'abc', true],
  ['ab[^c]', 'abc', false],
  ['ab[^e-g]', 'abc', true],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'ab', false],
  ['a?b', 'a/b', false],
  ['a[^a]b', 'a/b', false],
  ['[\\]a]', ']', true],
  ['[\\-x]', '-', true],
  ['[a-ζ]*', 'α', true],
  ['**', 'a/b', false],
  ['**', 'a/b', true, true],
  ['**/', 'file', false, true],
  ['dir/**', 'dir/dir2/file', true, true],
  ['**/dir2/*', 'dir/dir2/file', true, true],
  ['**/file', 'file', true, true],
  ['**/file', 'dir/file', true, true],
  ['**/file', 'afile', false, true],
  ['a/**/b', 'a/b', true, true],
  ['a/**/b', 'a/x/y/b', true, true],
  ['a/**/b', 'a/xb', false, true],
  ['**/*.go', 'a/b.c/d.go', true, true],
  ['abc/**/x/**/y', 'abc/x/1/x/2/y', true, true],
  ['***', 'a/b', true, true],
];

for (const [pattern, text, matches, deep = false] of GLOBS)
  test(`${pattern} ${matches ? 'matches' : 'does not match'} ${text}${deep ? ', deeply' : ''}`, () => {
    assert.equal(parseGlob(pattern, { deep }).matches(text), matches);
  });

for (const pattern of ['[', '[a', '[]', '[a-', 'a\\', '[^', '[a-\\'])
  test(`refuses the pattern ${pattern}`, () => {
    assert.throws(() => parseGlob(pattern), { code: 'INVALID_ARGUMENT' });
  });

const excluded = (patterns: string, paths: readonly string[]): string[] => {
  const ignore = parseIgnoreFile(Buffer.from(patterns), '.dockerignore');
  return paths.filter((path) => ignore.excludes(path));
};

test('the last pattern that matches decides, and what is below a directory shares its fate', () => {
  const paths = ['a', 'a/b', 'a/b/c', 'a/keep', 'x.md', 'README.md', 'd/x.md'];
  assert.deepEqual(excluded('a\n!a/keep\n*.md\n!README.md', paths), ['a', 'a/b', 'a/b/c', 'x.md']);
  assert.deepEqual(excluded('!README.md\n*.md', paths), ['x.md', 'README.md']);
  assert.deepEqual(excluded('**/*.md', paths), ['x.md', 'README.md', 'd/x.md']);
});

test('comments, spaces, slashes and dots around patterns do not count', () => {
  assert.deepEqual(excluded('\ufeff# a\n  /a/  \n./c/../x.md\n\n../y', ['a', 'b', 'x.md', 'y']), [
    'a',
    'x.md',
  ]);
});

test('no pattern takes the context itself out or back', () => {
  assert.deepEqual(excluded('a\n!.\n!/\n! ./', ['a', 'b']), ['a']);
});

test('names beyond ASCII are matched as bytes', () => {
  const latin = (text: string): string => Buffer.from(text).toString('latin1');
  assert.deepEqual(excluded('grüße*', [latin('grüße.txt'), latin('gruesse')]), [
    latin('grüße.txt'),
  ]);
});

test('a malformed line is named', () => {
  assert.throws(() => excluded('a\n[', []), /^MicaError: \.dockerignore:2: /);
  assert.throws(() => excluded('a\n\n ! ', []), /^MicaError: \.dockerignore:3: a ! is not/);
});

test('patterns that could match in very many ways take no time', () => {
  const start = process.cpuUsage();
  const ignore = ignoring(
    ['**/a'.repeat(200) + '/b', '*a'.repeat(200) + 'b', '[a-z]*'.repeat(100) + '!'],
    'test',
  );
  for (let at = 0; at < 20; at++)
    assert.ok(!ignore.excludes(`${'a/'.repeat(100)}${'a'.repeat(100)}${at}`));
  assert.ok(process.cpuUsage(start).user < 10_000_000);
});
