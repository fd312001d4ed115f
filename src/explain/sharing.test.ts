import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { chainIds, sha256, type DiffId } from '../oci/digest.ts';
import { layerForest, sharedWith, type LayeredImage, type Trunk } from './sharing.ts';

const diffIdOf = (name: string): DiffId => sha256(name) as DiffId;

function image(name: string, layers: string): LayeredImage {
  const diffIds = layers.split('').map(diffIdOf);
  const chain = chainIds(diffIds);
  return {
    id: sha256(`image ${name}`),
    layers: diffIds.map((diffId, at) => ({
      descriptor: { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: diffId, size: 1 },
      diffId,
      chainId: chain[at]!,
    })),
  };
}

/** `ab(c d)`: layers as letters, images as `*`. */
function draw(trunks: readonly Trunk<LayeredImage>[], letters: string): string {
  const letterOf = (diffId: DiffId): string =>
    letters.split('').find((l) => diffIdOf(l) === diffId)!;
  return trunks
    .map(({ layers, images, children }) => {
      const run = layers.map(({ diffId }) => letterOf(diffId)).join('');
      const below = children.length > 0 ? `(${draw(children, letters)})` : '';
      return run + '*'.repeat(images.length) + below;
    })
    .join(' ');
}

describe('sharing', () => {
  const CASES: readonly (readonly [layers: string[], forest: string])[] = [
    [['ab'], 'ab*'],
    [['abc', 'abd'], 'ab(c* d*)'],
    [['ab', 'abc'], 'ab*(c*)'],
    [['abc', 'abc'], 'abc**'],
    [['a', 'b'], 'a* b*'],
    // The same layer on another base is another state: it shares bytes, not a trunk.
    [['ab', 'cb'], 'ab* cb*'],
    [['', 'a'], '* a*'],
    [[], ''],
  ];
  for (const [layers, forest] of CASES)
    test(`images ${JSON.stringify(layers)} grow as ${JSON.stringify(forest)}`, () => {
      const images = layers.map((list, at) => image(String(at), list));
      assert.equal(draw(layerForest(images), 'abcd'), forest);
    });

  test('each image hangs in the forest once, and the path to it is its layers', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 5 })),
        (lists) => {
          const images = lists.map((list, at) => image(String(at), list));
          const found = new Map<string, string[]>();
          const visit = (
            trunks: readonly Trunk<LayeredImage>[],
            below: readonly string[],
          ): void => {
            for (const { layers, depth, images: ends, children } of trunks) {
              assert.equal(depth, below.length);
              const path = [...below, ...layers.map(({ diffId }) => diffId)];
              for (const { id } of ends) {
                assert.ok(!found.has(id));
                found.set(id, path);
              }
              visit(children, path);
            }
          };
          visit(layerForest(images), []);
          for (const { id, layers } of images)
            assert.deepEqual(
              found.get(id),
              layers.map(({ diffId }) => diffId),
            );
        },
      ),
    );
  });

  test('a layer is shared with every other image that holds it, on whatever base', () => {
    const [one, two, three] = [image('1', 'ab'), image('2', 'cb'), image('3', 'd')];
    const shared = sharedWith(one, [one, two, three]);
    assert.deepEqual(shared, [[], [two]]);
  });
});
