import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { readTar } from '../../tar/read-tar.ts';
import { describeTree } from '../../testing/describe.ts';
import { type PackedLayer, packLayer } from '../../testing/pack.ts';
import { layerStacks } from '../../testing/stacks.ts';
import { dir, file, hardlink, sparse, tree, type Member, whiteout } from '../../testing/tree.ts';
import { openUnion } from '../../union/union.ts';
import { squashedTar } from './tar.ts';

async function squashed(layers: readonly PackedLayer[], from: number): Promise<Member[]> {
  const members: Member[] = [];
  for await (const member of readTar(squashedTar(layers, { from })))
    members.push({ ...member, content: Buffer.concat(await Array.fromAsync(member.content)) });
  return members;
}

async function describe(layers: readonly PackedLayer[]): Promise<string> {
  await using union = openUnion(layers);
  return await describeTree(union);
}

const stackAndLayer = layerStacks(4).chain((layers) =>
  fc.tuple(fc.constant(layers), fc.nat(layers.length - 1)),
);

test('whichever layers are squashed, the tree stays what it was', async () => {
  await fc.assert(
    fc.asyncProperty(stackAndLayer, async ([trees, from]) => {
      const layers = trees.map(packLayer);
      const one = packLayer(await squashed(layers, from));
      assert.equal(await describe([...layers.slice(0, from), one]), await describe(layers));
    }),
    { numRuns: 400 },
  );
});

test('a squashed layer is squashed to itself, bit for bit', async () => {
  await fc.assert(
    fc.asyncProperty(layerStacks(4), async (trees) => {
      const bytes = async (layers: readonly PackedLayer[]): Promise<Buffer> =>
        Buffer.concat(await Array.fromAsync(squashedTar(layers, { from: 0 })));
      const layers = trees.map(packLayer);
      const again = await bytes([packLayer(await squashed(layers, 0))]);
      assert.deepEqual(again, await bytes(layers));
    }),
    { numRuns: 100 },
  );
});

const names = (members: readonly Member[]): string[] => members.map(({ name }) => name);

test('a deletion is kept only where something below is deleted', async () => {
  const layers = [
    tree({ kept: file(), gone: file(), 'd/x': file(), 'd/y': file() }),
    tree({ new: file(), d: dir({ opaque: true }), 'd/z': file() }),
    tree({ gone: whiteout(), new: whiteout(), never: whiteout() }),
  ].map(packLayer);
  assert.deepEqual(names(await squashed(layers, 1)), ['.wh.gone', 'd/', 'd/.wh..wh..opq', 'd/z']);
  assert.deepEqual(names(await squashed(layers, 0)), ['d/', 'd/z', 'kept']);
});

test('hard links stay links, and holes stay holes', async () => {
  const hole = 5 << 20;
  const [first, second] = await squashed(
    [packLayer(tree({ a: sparse(hole, { 4096: 'x'.repeat(512) }), b: hardlink('a') }))],
    0,
  );
  assert.deepEqual([second!.type, second!.linkName], ['link', 'a']);
  assert.equal(first!.size, hole);
  assert.ok(first!.content.length < 8192, `${first!.content.length} bytes of data`);
});
