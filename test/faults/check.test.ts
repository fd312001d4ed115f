import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, utimesSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hexOf } from '../../src/oci/digest.ts';
import { needs } from '../../src/testing/need.ts';
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

test(
  'a check takes a time without its fraction for the same, and any other for a change',
  { skip: needs('overlay') },
  async () => {
    const there = await origin;
    const member = file('a', { mtime: 1_600_000_000, mtimeNs: 123_456_789 });
    await there.image('check/times', [tree({ a: member })]);
    await using engine = await openTemporaryEngine({ driver: 'overlay2' });
    await engine.pull(`${new URL(there.url).host}/check/times`);
    const { root } = await engine.info();
    const path = join(root, 'layers/1/fs/a');
    const found = async (time: number): Promise<string[]> => {
      utimesSync(path, time, time);
      return (await engine.check()).problems.map(({ message }) => message);
    };
    // As zfs-fuse keeps it, and ext4 with small inodes.
    assert.deepEqual(await found(1_600_000_000), []);
    assert.deepEqual(await found(1_600_000_000.5), ['/a: it was modified since it was unpacked']);
    assert.equal((await found(1_600_000_001)).length, 1);
  },
);
