import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeDirectory, describeTree } from '../../src/testing/describe.ts';
import { needs } from '../../src/testing/need.ts';
import * as t from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';
import { mountsBelow, openTemporaryEngine } from '../support/store.ts';

/** More than overlayfs stacks. Each layer changes a file, adds one, and some take an earlier one away. */
const layers = Array.from({ length: 600 }, (_, i) =>
  t.tree({
    'd/changed': t.file(`by ${i}`),
    [`d/file-${i}`]: t.file(`of ${i}`),
    ...(i > 0 && i % 3 === 0 && { [`d/file-${i - 1}`]: t.whiteout() }),
  }),
);

test(
  'an image of 600 layers is pulled, and mounted as one file system',
  { skip: needs('root', 'overlay', 'erofs') },
  async () => {
    await using origin = await openOrigin();
    await origin.image('deep', layers);
    const reference = `${new URL(origin.url).host}/deep:latest`;
    await using engine = await openTemporaryEngine({ driver: 'erofs' });
    await engine.pull(reference);
    await using tree = await engine.tree(reference);
    const { target } = await engine.mount(reference);
    try {
      assert.equal(describeDirectory(target), await describeTree(tree));
      assert.equal(readdirSync(join(target, 'd')).length, 1 + 600 - 199);
      assert.equal(mountsBelow(engine.root).length, 2, 'the file system, and a bind of it');
    } finally {
      await engine.unmount(target);
    }
    assert.deepEqual(mountsBelow(engine.root), []);
    assert.deepEqual((await engine.check()).problems, []);
    await engine.remove(reference);
    await engine.gc();
    assert.deepEqual(readdirSync(join(engine.root, 'layers')), ['.trash']);
    assert.deepEqual(readdirSync(join(engine.root, 'run', 'layers')), []);
  },
);
