import assert from 'node:assert/strict';
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { OPAQUE_WHITEOUT } from '../oci/whiteout.ts';
import { performMounts } from '../sys/mount.ts';
import { lowerdirOption, type Mount } from '../sys/mount-data.ts';
import { describeDirectory, describeTree } from '../testing/describe.ts';
import { materialise } from '../testing/materialise.ts';
import { needs } from '../testing/need.ts';
import { packLayer } from '../testing/pack.ts';
import { layerStacks } from '../testing/stacks.ts';
import type { Tree } from '../testing/tree.ts';
import { openUnion } from './union.ts';

/** A mount of the layers, seen as text. */
async function overlay(layers: readonly Tree[], work: string): Promise<string> {
  // The kernel ignores the mark on a layer's root, so who mounts leaves out what lies below.
  const base = Math.max(0, layers.findLastIndex(isOpaque));
  const directories = layers.slice(base).map((_, at) => join(work, String(at)));
  // Overlay wants two lower directories; an empty one at the bottom changes nothing.
  const [target, bottom] = [join(work, 'merged'), join(work, 'bottom')];
  for (const directory of [...directories, target, bottom]) await mkdir(directory);
  for (const [at, directory] of directories.entries()) materialise(layers[base + at]!, directory);
  const options = [lowerdirOption([...directories.toReversed(), bottom])];
  const mount: Mount = { type: 'overlay', source: 'overlay', options };
  await using _ = await performMounts([mount], target);
  return describeDirectory(target, { root: false });
}

const isOpaque = (layer: Tree): boolean => layer.some(({ name }) => name === OPAQUE_WHITEOUT);

test(
  'the union is what the kernel shows of the same layers',
  { skip: needs('overlay') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'union-'));
    let run = 0;
    await fc.assert(
      fc.asyncProperty(layerStacks(), async (layers) => {
        const directory = join(work.path, String(run++));
        await mkdir(directory);
        const tree = openUnion(layers.map(packLayer));
        assert.equal(await describeTree(tree, { root: false }), await overlay(layers, directory));
      }),
      { numRuns: 60 },
    );
  },
);
