import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GoCommand } from './go-flags.ts';
import { collect } from './parse/list.ts';

function command(): GoCommand {
  const made = new GoCommand('run');
  made
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .argument('[image]')
    .argument('[word...]')
    .passThroughOptions()
    .option('-i, --interactive')
    .option('-t, --tty')
    .option('--rm')
    .option('--no-sig-proxy')
    .option('-n, --tail <number>')
    .option('-e, --env <entry>', '', collect, []);
  return made;
}

/** What docker's library for options makes of the same. */
const CASES: readonly (readonly [line: string, options: object, words?: readonly string[]])[] = [
  ['--rm', { rm: true }],
  ['--rm=true', { rm: true }],
  ['--rm=1 --rm=F', { rm: false }],
  ['--rm --rm=false', { rm: false }],
  ['--rm=false --rm', { rm: true }],
  ['--sig-proxy=false', { sigProxy: false }],
  ['--sig-proxy', { sigProxy: true }],
  ['--no-sig-proxy', { sigProxy: false }],
  ['--no-sig-proxy --sig-proxy=true', { sigProxy: true }],
  ['-it=false', { interactive: true, tty: false }],
  ['-t=true -i', { interactive: true, tty: true }],
  ['-n=5', { tail: '5' }],
  ['-n5', { tail: '5' }],
  ['-itn=-1', { interactive: true, tty: true, tail: '-1' }],
  ['--tail=a=b', { tail: 'a=b' }],
  ['-e --rm=false --rm', { rm: true, env: ['--rm=false'] }],
  ['-e=A=1 -eB=2 -e C', { env: ['A=1', 'B=2', 'C'] }],
  ['image --rm=true -n=5', {}, ['image', '--rm=true', '-n=5']],
  ['-- --rm=true', {}, ['--rm=true']],
];

for (const [line, options, words = []] of CASES)
  test(`${line} is read as Go reads it`, () => {
    const made = command();
    made.parse(line.split(' '), { from: 'user' });
    assert.deepEqual(
      { ...made.opts() },
      { env: [], sigProxy: true, ...options },
      JSON.stringify(made.opts()),
    );
    assert.deepEqual(made.args, words);
  });

for (const line of ['--rm=maybe', '-t=', '--nonsense=true', '-x=1', '-xt'])
  test(`${line} is refused`, () => {
    assert.throws(() => command().parse([line], { from: 'user' }), { name: /Error$/ });
  });
