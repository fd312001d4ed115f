import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { hostPlatform } from '../../src/oci/platform.ts';
import { describeDirectory, describeTree } from '../../src/testing/describe.ts';
import { BlobFixture } from '../../src/testing/image-fixture.ts';
import { needs } from '../../src/testing/need.ts';
import { layerStacks } from '../../src/testing/stacks.ts';
import type { Tree } from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';
import { openTemporaryEngine } from '../support/store.ts';

const run = promisify(execFile);
/** The root that no layer describes has the time of its making in other tools. */
const ROOTLESS = { root: false };

for (const [driver, need] of [
  ['overlay2', 'overlay'],
  ['erofs', 'erofs'],
] as const)
  test(
    `any stack of layers, pulled with ${driver}, is the tree that umoci unpacks`,
    {
      skip: needs('overlay', 'umoci', need),
    },
    async () => {
      await using origin = await openOrigin();
      await using engine = await openTemporaryEngine({ driver });
      await using work = await mkdtempDisposable(join(tmpdir(), 'stacks-'));
      const { host } = new URL(origin.url);
      let count = 0;
      await fc.assert(
        fc.asyncProperty(layerStacks(), async (layers) => {
          const name = `stacks/image-${++count}`;
          await origin.image(name, layers);
          const reference = `${host}/${name}`;
          await engine.pull(reference);
          const expected = await unpack(layers, join(work.path, String(count)));
          await using union = await engine.tree(reference);
          assert.equal(await describeTree(union, ROOTLESS), expected, 'union');
          const { target } = await engine.mount(reference);
          try {
            assert.equal(describeDirectory(target, ROOTLESS), expected, 'mount');
          } finally {
            await engine.unmount(target);
          }
        }),
        { numRuns: 12 },
      );
    },
  );

async function unpack(layers: readonly Tree[], work: string): Promise<string> {
  const [layout, bundle] = [join(work, 'layout'), join(work, 'bundle')];
  await mkdir(layout, { recursive: true });
  const fixture = new BlobFixture();
  const { descriptor } = await fixture.image(layers, { platform: hostPlatform() });
  await fixture.writeLayout(layout, { latest: descriptor });
  await run('umoci', ['unpack', '--image', `${layout}:latest`, bundle]);
  return describeDirectory(join(bundle, 'rootfs'), ROOTLESS);
}
