import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { packLayer } from '../testing/pack.ts';
import { bytesOf, StackModel } from '../testing/stack-model.ts';
import { layerStacks } from '../testing/stacks.ts';
import * as t from '../testing/tree.ts';
import type { UnionTree } from '../union/tree.ts';
import { openUnion } from '../union/union.ts';
import { changesOf, layerChanges } from './changes.ts';
import { wasteOf } from './waste.ts';

const union = (...layers: t.Items[]): UnionTree =>
  openUnion(layers.map((items) => packLayer(t.tree(items))));

const BASE: t.Items = {
  'etc/conf': t.file('12345'),
  'etc/other': t.file('1'),
  'var/cache/a': t.file('aaa'),
  'var/cache/b': t.hardlink('var/cache/a'),
};
const PATCH: t.Items = {
  'etc/conf': t.file('1234567'),
  'etc/new': t.file('n'),
  'var/cache': t.dir({ opaque: true }),
};

test('a layer adds, changes and deletes files, and directories on the way do not count', () => {
  const tree = union(BASE, PATCH);
  assert.deepEqual(layerChanges(tree), [
    { layer: 0, added: 4, changed: 0, deleted: 0, addedBytes: 9, changedBytes: 0, deletedBytes: 0 },
    { layer: 1, added: 1, changed: 1, deleted: 2, addedBytes: 1, changedBytes: 7, deletedBytes: 3 },
  ]);
  assert.deepEqual(
    changesOf(tree, 1).map(({ path, kind }) => `${kind} ${path}`),
    ['changed /etc/conf', 'added /etc/new', 'deleted /var/cache/a', 'deleted /var/cache/b'],
  );
});

test('a directory that takes a place of a file deletes that file, and the other way round adds one', () => {
  const tree = union(
    { x: t.file('1'), 'y/a': t.file('2') },
    { 'x/a': t.file('3'), y: t.file('4') },
  );
  const { added, changed, deleted } = layerChanges(tree)[1]!;
  assert.deepEqual([added, changed, deleted], [2, 0, 2]);
  assert.deepEqual(
    changesOf(tree, 1).map(({ path, kind, type }) => `${kind} ${path} ${type}`),
    ['changed /x directory', 'added /x/a file', 'changed /y file', 'deleted /y/a file'],
  );
});

test('content that no name shows any more is waste, and is said where', () => {
  const waste = wasteOf(union(BASE, PATCH));
  assert.deepEqual([waste.bytes, waste.perLayer], [8, [8, 0]]);
  assert.deepEqual(
    waste.files.map(({ path, layer, hiddenBy, size }) => [path, layer, hiddenBy, size]),
    [
      ['/etc/conf', 0, 1, 5],
      ['/var/cache/a', 0, 1, 3],
    ],
  );
  assert.equal(wasteOf(union(BASE, { 'var/cache/a': t.whiteout() })).bytes, 0);
});

test('the changes of every layer of a random stack are those that applying it makes', () => {
  fc.assert(
    fc.property(layerStacks(), (layers) => {
      const model = new StackModel();
      const tree = openUnion(layers.map(packLayer));
      assert.deepEqual(
        layerChanges(tree).map(({ added, changed, deleted }) => ({ added, changed, deleted })),
        layers.map((layer) => model.apply(layer)),
      );
    }),
  );
});

test('what a random stack carries is what it shows and what it wastes', () => {
  fc.assert(
    fc.property(layerStacks(), (layers) => {
      const model = new StackModel();
      let carried = 0;
      for (const layer of layers) {
        model.apply(layer);
        carried += bytesOf(layer.filter(({ name }) => !name.includes('.wh.')));
      }
      const { bytes } = wasteOf(openUnion(layers.map(packLayer)));
      assert.equal(bytes + model.bytes(), carried);
    }),
  );
});
