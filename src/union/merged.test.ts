import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { mergeIndexes } from '../erofs/merge.ts';
import { openIndex } from '../erofs/read.ts';
import { indexBytes } from '../erofs/write.ts';
import { describeTree } from '../testing/describe.ts';
import { packLayer, type PackedLayer } from '../testing/pack.ts';
import { layerStacks } from '../testing/stacks.ts';
import { tarData, tarStream, type TarDevice } from './tar-data.ts';
import { openUnion, type UnionLayer } from './union.ts';

const deviceOf = (bytes: Buffer): TarDevice =>
  tarStream('a packed layer', async function* () {
    yield bytes;
  });

/** One index of all layers, over what they hold. */
function merged(layers: readonly PackedLayer[]): UnionLayer {
  const indexes = layers.map(({ index }) => openIndex(index));
  const { root, devices, read } = mergeIndexes(indexes);
  const held = new Map(layers.map(({ tag, device }) => [tag, deviceOf(device)]));
  const first = held.get(devices[0]?.tag ?? '') ?? deviceOf(Buffer.alloc(0));
  return {
    index: indexBytes(root, { devices, read }),
    data: tarData(first, (tag) => held.get(tag)),
  };
}

test('the merged index of layers shows what their union does, to the last attribute', async () => {
  await fc.assert(
    fc.asyncProperty(layerStacks(6), async (trees) => {
      const layers = trees.map(packLayer);
      const shown = await describeTree(openUnion([merged(layers)]));
      assert.equal(shown, await describeTree(openUnion(layers)));
    }),
    { numRuns: 150 },
  );
});
