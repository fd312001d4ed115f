import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packLayer } from '../testing/pack.ts';
import * as t from '../testing/tree.ts';
import type { UnionTree } from '../union/tree.ts';
import { openUnion } from '../union/union.ts';
import { whyOf, type Why } from './why.ts';

const union = (...layers: t.Items[]): UnionTree =>
  openUnion(layers.map((items) => packLayer(t.tree(items))));

/** `2 provides`, `1 hidden by version /a in 2`, … */
const told = ({ layers }: Why): string[] =>
  layers.map((word) => {
    const by = 'by' in word ? ` by ${word.by.how} ${word.by.path} in ${word.by.layer}` : '';
    return `${word.layer} ${word.kind}${by}`;
  });

test('file 7 covers file 5', () => {
  const tree = union(
    { 1: t.file(), 2: t.file(), 3: t.file() },
    { 4: t.file(), 5: t.file('old'), 6: t.file() },
    { 5: t.file('file 7, the new 5') },
  );
  const why = whyOf(tree, '5');
  assert.deepEqual(told(why), ['2 provides', '1 hidden by version /5 in 2']);
  assert.deepEqual([why.state, why.stat?.layer, why.stat?.size], ['present', 2, 17]);
});

const CASES: readonly (readonly [
  title: string,
  path: string,
  layers: t.Items[],
  state: Why['state'],
  story: string[],
])[] = [
  [
    'a whiteout deletes the path itself',
    'a/x',
    [{ 'a/x': t.file() }, { 'a/x': t.whiteout() }],
    'deleted',
    ['1 deletes by whiteout /a/x in 1', '0 hidden by whiteout /a/x in 1'],
  ],
  [
    'a whiteout deletes a directory above',
    'a/b/x',
    [{ 'a/b/x': t.file() }, { a: t.whiteout() }],
    'deleted',
    ['1 deletes by whiteout /a in 1', '0 hidden by whiteout /a in 1'],
  ],
  [
    'an opaque directory starts again',
    'a/x',
    [{ 'a/x': t.file() }, { a: t.dir({ opaque: true }) }],
    'deleted',
    ['1 deletes by opaque /a in 1', '0 hidden by opaque /a in 1'],
  ],
  [
    'an opaque directory hides and provides',
    'a/x',
    [{ 'a/x': t.file() }, { a: t.dir({ opaque: true }), 'a/x': t.file() }],
    'present',
    ['1 provides', '0 hidden by version /a/x in 1'],
  ],
  [
    'an opaque directory itself does not merge',
    'a',
    [{ a: t.dir() }, { a: t.dir({ opaque: true }) }, { a: t.dir() }],
    'present',
    ['2 provides', '1 merges', '0 hidden by opaque /a in 1'],
  ],
  [
    'a file takes the place of a directory above',
    'a/x',
    [{ 'a/x': t.file() }, { a: t.file() }],
    'deleted',
    ['1 deletes by replacement /a in 1', '0 hidden by replacement /a in 1'],
  ],
  [
    'a directory takes the place of a file',
    'a',
    [{ a: t.file() }, { a: t.dir() }, { a: t.dir() }],
    'present',
    ['2 provides', '1 merges', '0 hidden by version /a in 1'],
  ],
  [
    'a file returns after its deletion',
    'x',
    [{ x: t.file() }, { x: t.whiteout() }, { x: t.file() }],
    'present',
    ['2 provides', '1 deletes by whiteout /x in 1', '0 hidden by whiteout /x in 1'],
  ],
  [
    'directories of all layers merge',
    'a',
    [{ 'a/x': t.file() }, {}, { 'a/y': t.file() }],
    'present',
    ['2 provides', '0 merges'],
  ],
  ['the root is in every layer', '/', [{ x: t.file() }, {}], 'present', ['1 provides', '0 merges']],
  [
    'a whiteout of nothing deletes nothing',
    'x',
    [{}, { x: t.whiteout() }],
    'absent',
    ['1 deletes by whiteout /x in 1'],
  ],
  [
    'a deletion above that hides nothing says nothing',
    'a/x',
    [{ b: t.file() }, { a: t.whiteout() }],
    'absent',
    [],
  ],
  ['no layer has it', 'x/y', [{ a: t.file() }, { b: t.whiteout() }], 'absent', []],
];

for (const [title, path, layers, state, story] of CASES)
  test(title, () => {
    const why = whyOf(union(...layers), path);
    assert.deepEqual([why.state, told(why)], [state, story]);
    assert.equal(why.stat !== undefined, state === 'present');
  });

test('links on the way are named, and a link at the end is explained together with its target', () => {
  const tree = union(
    { bin: t.link('usr/bin'), 'usr/bin/dash': t.file('1'), 'usr/bin/sh': t.link('dash') },
    { 'usr/bin/dash': t.file('2') },
  );
  const why = whyOf(tree, '/bin/sh');
  assert.equal(why.path, '/usr/bin/sh');
  assert.deepEqual(why.links, [{ path: '/bin', target: 'usr/bin', layer: 0 }]);
  assert.deepEqual(told(why), ['0 provides']);
  assert.equal(why.target?.path, '/usr/bin/dash');
  assert.deepEqual(told(why.target), ['1 provides', '0 hidden by version /usr/bin/dash in 1']);
});

test('a dangling link says what became of its target, one in circles says nothing', () => {
  const tree = union({ a: t.link('b'), b: t.file(), x: t.link('x') }, { b: t.whiteout() });
  assert.equal(whyOf(tree, 'a').target?.state, 'deleted');
  assert.equal(whyOf(tree, 'x').target, undefined);
  assert.equal(whyOf(tree, 'x').state, 'present');
});
