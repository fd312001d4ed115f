import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeDirectory } from '../../testing/describe.ts';
import { edited, tarOfChanges } from '../../testing/edited-stack.ts';
import { BlobFixture } from '../../testing/image-fixture.ts';
import { needs } from '../../testing/need.ts';
import { applyEdits, randomEdits, RICH_EDITS } from '../../testing/random-edits.ts';
import { dir, file, link, tarOf, tree } from '../../testing/tree.ts';

const BASE = tree({
  '': dir(),
  'a/a': file('base a/a'),
  'a/b/a': file('base a/b/a', { uid: 7, xattrs: { 'user.note': 'x' } }),
  'a/b/c': link('a'),
  'b/a': file('base b/a'),
  'b/b': dir({ mode: 0o1777 }),
  c: file('base c', { mode: 0o4755 }),
});

const edit =
  (seed: number) =>
  (root: string): void => {
    const [edits] = randomEdits(seed, { snapshots: 1, edits: 40, types: RICH_EDITS });
    applyEdits(root, edits!);
    const holes = Buffer.alloc(3 << 20);
    holes.write('end', holes.length - 10);
    writeFileSync(join(root, 'holes'), holes);
  };

/** The image of the base and its changes as a layout, and the tree that it must give. */
async function image(work: string, seed: number): Promise<{ layout: string; wanted: string }> {
  const { changes, tree: wanted } = await edited(
    [tarOf(BASE)],
    'overlay2',
    join(work, 'edited'),
    edit(seed),
  );
  const fixture = new BlobFixture();
  const { descriptor } = await fixture.image([BASE, await tarOfChanges(changes)]);
  const layout = join(work, 'layout');
  mkdirSync(layout);
  await fixture.writeLayout(layout, { it: descriptor });
  return { layout, wanted };
}

for (const seed of [1, 2, 3, 4, 5]) {
  test(
    `umoci unpacks what was edited (seed ${seed})`,
    { skip: needs('overlay', 'umoci') },
    async () => {
      await using work = await mkdtempDisposable(join(tmpdir(), 'diff-oracle-'));
      const { layout, wanted } = await image(work.path, seed);
      const target = join(work.path, 'unpacked');
      execFileSync('umoci', ['raw', 'unpack', '--image', `${layout}:it`, target], {
        stdio: 'pipe',
      });
      assert.equal(describeDirectory(target), wanted);
    },
  );

  test(
    `GNU tar extracts what was made on nothing (seed ${seed})`,
    { skip: needs('overlay', 'tar') },
    async () => {
      await using work = await mkdtempDisposable(join(tmpdir(), 'diff-oracle-'));
      const found = await edited([], 'overlay2', join(work.path, 'edited'), edit(seed));
      const target = join(work.path, 'extracted');
      mkdirSync(target);
      const how = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '-xpf', '-'];
      execFileSync('tar', ['-C', target, ...how], { input: await tarOfChanges(found.changes) });
      assert.equal(describeDirectory(target), found.tree);
    },
  );
}

test(
  'podman loads an image of such layers, and shows the edited tree',
  { skip: needs('overlay', 'podman') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'diff-oracle-'));
    const { layout, wanted } = await image(work.path, 6);
    const archive = join(work.path, 'image.tar');
    execFileSync('tar', ['-C', layout, '-cf', archive, '.']);
    const podman = (...words: string[]): string =>
      execFileSync(
        'podman',
        [
          '--root',
          join(work.path, 'store'),
          '--runroot',
          join(work.path, 'run'),
          '--storage-driver',
          'vfs',
          ...words,
        ],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
      ).trim();
    const [, name] = /Loaded image: (\S+)/.exec(podman('load', '-i', archive))!;
    const mounted = podman('image', 'mount', name!);
    try {
      // It keeps no time of the root, and of user xattrs none.
      const some = (text: string): string[] =>
        text
          .split('\n')
          .slice(1)
          .map((line) => line.replace(/\tuser\..*/, '\t'));
      assert.deepEqual(some(describeDirectory(mounted)), some(wanted));
    } finally {
      podman('image', 'unmount', name!);
    }
  },
);
