import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aufsCalls } from './aufs.ts';

const asIs = (path: string): string => path;
const layers = (count: number, name: (n: number) => string): string[] =>
  Array.from({ length: count }, (_, n) => `br=${name(n)}=ro+wh`);

/** The branches that calls add, in the order in which AUFS has them then. */
const branchesOf = (calls: readonly string[]): string[] =>
  calls.flatMap((call, n) =>
    n === 0
      ? call.slice('br='.length, call.indexOf(',')).split(':')
      : call.split(',').map((option) => option.slice('append='.length)),
  );

test('few branches are mounted by one call, with the options after them', () => {
  const options = ['br=/s/3/fs=rw', 'br=/s/2/fs=ro+wh', 'br=/s/1/fs=ro+wh', 'dio', 'xino=/x/y'];
  assert.deepEqual(aufsCalls(options, asIs), [
    'br=/s/3/fs=rw:/s/2/fs=ro+wh:/s/1/fs=ro+wh,dio,xino=/x/y',
  ]);
});

for (const [what, count, length] of [
  ['many', 126, 10],
  ['long', 60, 250],
  ['very many', 1000, 40],
] as const)
  test(`${what} branches take several calls, none above a page or 32 branches, in order`, () => {
    const name = (n: number): string => `/${String(n).padEnd(length - 1, 'x')}`;
    const below = layers(count, name);
    const calls = aufsCalls(['br=/own=rw', ...below, 'dio', 'noplink'], asIs);
    assert.ok(calls.length > 1);
    assert.ok(calls.every((call) => call.length < 4096));
    assert.ok(calls[0]!.endsWith(',dio,noplink'));
    for (const call of calls.slice(1)) {
      assert.match(call, /^append=/);
      assert.doesNotMatch(call, /dio|noplink|br=/);
    }
    const branches = branchesOf(calls);
    assert.deepEqual(branches, ['/own=rw', ...below.map((option) => option.slice('br='.length))]);
    for (const call of calls) assert.ok(call.match(/=r[ow]/g)!.length <= 32);
  });

test('a path may have the separators of options in it: it is named otherwise', () => {
  const named = (path: string): string => (path.includes(':') ? '/short' : path);
  assert.deepEqual(aufsCalls(['br=/a:b,c=d=rw', 'br=/e=ro+wh'], named), ['br=/short=rw:/e=ro+wh']);
});
