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

test(
  'of an image deeper than overlay2 stacks a pull says that it cannot be mounted; one to mount fetches nothing',
  { skip: needs('root', 'overlay') },
  async () => {
    await using origin = await openOrigin();
    await origin.image('deep', layers);
    const reference = `${new URL(origin.url).host}/deep:latest`;
    await using engine = await openTemporaryEngine({ driver: 'overlay2' });
    await assert.rejects(engine.pull(reference, { toMount: true }), {
      code: 'NOT_IMPLEMENTED',
      message: /the image has 600 layers, and storage driver overlay2 stacks 500; .*mica squash/,
    });
    assert.deepEqual(readdirSync(join(engine.root, 'layers')), []);
    const warnings: string[] = [];
    await engine.pull(reference, {
      onProgress: (event) => event.type === 'warning' && warnings.push(event.message),
    });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /can be neither mounted nor run; `mica squash NAME -t NEW`/);
    // It serves for all else, and for what was advised.
    await using tree = await engine.tree(reference);
    assert.equal(tree.readdir('d').length, 1 + 600 - 199);
    await engine.squash(reference, { names: ['squashed'] });
    await engine.unmount((await engine.mount('squashed')).target);
  },
);
