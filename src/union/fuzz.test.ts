import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from '../testing/fuzz-index.ts';
import { packLayer } from '../testing/pack.ts';
import { soundImages } from '../testing/sound-images.ts';
import * as t from '../testing/tree.ts';
import { openUnion, type UnionLayer } from './union.ts';

const ABOVE = packLayer(
  t.tree({ a: t.whiteout(), 'b/c': t.file('x'), d: t.dir({ opaque: true }), e: t.link('b') }),
);

/** Everything that can be asked of a tree without reading files. */
function interrogate(layers: readonly UnionLayer[]): number {
  const tree = openUnion(layers);
  let paths = 0;
  tree.survey(() => paths++);
  for (const { raw } of tree.walk()) {
    tree.lstat(raw);
    tree.history(raw);
    paths++;
  }
  return paths;
}

test('a union with a layer damaged at any field answers or gives a coded error, in good time', () => {
  let paths = 0;
  const images = soundImages(40);
  fuzz(images, {
    seed: 1,
    more: ({ images: done }) => done < 1000,
    also(image) {
      const damaged: UnionLayer = { index: image, data: ABOVE.data };
      paths += interrogate([damaged, ABOVE]);
      paths += interrogate([{ ...damaged, index: images[1]! }, damaged]);
    },
  });
  assert.ok(paths > 1000, 'the damage is not so large that nothing is reached');
});
