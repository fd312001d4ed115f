import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { expand, expandWords } from './expand.ts';

const VALUES: Readonly<Record<string, string>> = {
  x: 'value',
  empty: '',
  path: '/usr/local/lib/a.tar.gz',
  spaced: 'a  b',
  star: '*',
};
const lookup = (name: string): string | undefined => VALUES[name];

/** What dash makes of the same word, quoted where the shell would split it. */
const SAME_AS_SHELL = [
  '$x',
  '${x}y',
  '"$x y"',
  "'$x'",
  '\\$x',
  '"\\$x \\a \\" \\\\"',
  'a\\ b',
  '${none:-d}',
  '${empty:-d}',
  '${empty-d}',
  '${none-d}',
  '${x:+d}',
  '${empty:+d}',
  '${empty+d}',
  '${none+d}',
  '${none:-$x}',
  '${none:-${empty:-deep}}',
  '${none:-"q r"}',
  '${path#*/}',
  '${path##*/}',
  '${path%.*}',
  '${path%%.*}',
  '${path#/usr}',
  '${path%nothing}',
  '${path#?usr}',
  '${star#\\*}',
  '${x#"va"}',
  '${path%${none:-.gz}}',
  '$none-$x',
  '$',
  'a$',
  'cost:\\ 5$',
  'x"y"\'z\'',
];

test('variables and quotes mean what they mean to a shell', () => {
  for (const word of SAME_AS_SHELL) {
    const script = `set -f; IFS=; printf %s ${word}`;
    const said = execFileSync('sh', ['-c', script], { env: VALUES, encoding: 'utf8' });
    assert.equal(expand(word, lookup), said, word);
  }
});

const BEYOND: readonly (readonly [word: string, expected: string])[] = [
  ['${path/l/L}', '/usr/Local/lib/a.tar.gz'],
  ['${path//l/L}', '/usr/LocaL/Lib/a.tar.gz'],
  ['${path//\\//:}', ':usr:local:lib:a.tar.gz'],
  ['${path/*lib/x}', 'x/a.tar.gz'],
  ['${x/a/}', 'vlue'],
  ['${x/a}', 'vlue'],
  ['${1}', ''],
];
for (const [word, expected] of BEYOND)
  test(`replaces ${word} as bash does`, () => assert.equal(expand(word, lookup), expected));

test('with another escape, a backslash is a character', () => {
  assert.equal(expand('c:\\$x`$x', lookup, { escape: '`' }), 'c:\\value$x');
});

test('in a text, quotes stay and only a dollar can be escaped', () => {
  const text = `"$x" '$x' \\n \\$x \\\\`;
  assert.equal(expand(text, lookup, { isText: true }), `"value" 'value' \\n $x \\`);
});

test('what is not quoted is split at its spaces', () => {
  const text = '80 $spaced "$spaced" x${spaced}y $none "" 9';
  assert.deepEqual(expandWords(text, lookup), ['80', 'a', 'b', 'a  b', 'xa', 'by', '', '9']);
});

for (const word of [
  '${',
  '${x',
  '${}',
  '${x:}',
  '${x:-',
  '${x!y}',
  '"x',
  "'x",
  '${none:?}',
  '${none:?not there}',
  '${none:-'.repeat(1000),
])
  test(`refuses ${word.slice(0, 20)}`, () => {
    assert.throws(() => expand(word, lookup), { code: 'INVALID_ARGUMENT' });
  });

test('a value that doubles with every line ends in an error, not in all memory', () => {
  const values: Record<string, string> = { a0: 'xxxxxxxxxxxxxxxx' };
  assert.throws(
    () => {
      for (let at = 1; at < 60; at++)
        values[`a${at}`] = expand(`$a${at - 1}$a${at - 1}`, (name) => values[name]);
    },
    { code: 'INVALID_ARGUMENT' },
  );
});

test('what grows within quotes, or by what is put in, ends in an error at once', () => {
  const long = 'a'.repeat(1 << 20);
  for (const word of [`"${'$v'.repeat(2000)}"`, `\${w//a/$v}`])
    assert.throws(() => expand(word, (name) => (name === 'v' ? long : long.slice(0, 2000))), {
      code: 'INVALID_ARGUMENT',
    });
});

test('patterns that could match in very many ways take no time', () => {
  const value = 'a'.repeat(8000);
  const start = process.cpuUsage();
  expand(`\${v%%${'*a'.repeat(100)}b}`, () => value);
  expand(`\${v//${'*a'.repeat(100)}b/x}`, () => value.slice(0, 800));
  expand(`\${v//a${'*a'.repeat(15)}b/x}`, () => value.slice(0, 2000));
  assert.ok(process.cpuUsage(start).user < 10_000_000);
  assert.throws(() => expand('${v//*a*b}', () => 'a'.repeat(9000)), { code: 'INVALID_ARGUMENT' });
});
