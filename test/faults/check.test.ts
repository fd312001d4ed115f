import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hexOf } from '../../src/oci/digest.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';
import { openTemporaryEngine } from '../support/store.ts';

const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

const MICA = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const LAYERS = ['a', 'b', 'c'].map((name) => tree({ [name]: file(name) }));

/** What another process does while a check has seen the first of what it looks at. */
const MEANWHILE: Readonly<Record<string, (name: string) => string[]>> = {
  'removes the image': (name) => ['rmi', name],
  'drops its blobs': () => ['blobs', 'refetch'],
};

for (const [what, command] of Object.entries(MEANWHILE))
  test(`a check finds nothing wrong when another process ${what} meanwhile`, async () => {
    const there = await origin;
    const { layers } = await there.image('check/image', LAYERS);
    await using engine = await openTemporaryEngine();
    const name = `${new URL(there.url).host}/check/image`;
    await engine.pull(name);
    const { root } = await engine.info();
    const { problems } = await engine.check({
      onProgress: ({ done }) => {
        if (done === 1) execFileSync(process.execPath, [MICA, '--root', root, ...command(name)]);
      },
    });
    const blobs = join(root, 'content/blobs/sha256');
    assert.ok(layers.every(({ digest }) => !existsSync(join(blobs, hexOf(digest)))));
    assert.deepEqual(problems, []);
  });
