import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { isCode } from '../../errors.ts';
import { ErofsLayers } from '../../testing/erofs-layers.ts';
import { needs } from '../../testing/need.ts';
import { file, hardlink, tree } from '../../testing/tree.ts';
import { attachLoop, isLoopOf } from '../loop.ts';
import { performMounts } from '../mount.ts';

const skip = needs('root', 'overlay', 'erofs', 'loop');

/** A file system that EROFS mounts no files of. */
async function onTmpfs(run: (root: string) => Promise<void>): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-loops-'));
  const tmpfs = { type: 'tmpfs', source: 'tmpfs', options: [] };
  await using _ = await performMounts([tmpfs], dir.path);
  await run(dir.path);
}

/** Names of the loop devices whose files are in `directory`. */
const loopsOf = (directory: string): string[] =>
  readdirSync('/sys/block').filter((name) => {
    try {
      return readFileSync(`/sys/block/${name}/loop/backing_file`, 'latin1').startsWith(directory);
    } catch {
      return false;
    }
  });

test('where no files are mounted, loop devices stand in, and end with the mount', { skip }, () =>
  onTmpfs(async (root) => {
    await using layers = new ErofsLayers(root, { directio: true });
    const [here, there] = [join(root, 'here'), join(root, 'there')];
    for (const path of [here, there]) mkdirSync(path);
    await layers.add('1', tree({ big: file('x'.repeat(100_000)) }));
    await layers.add('2', tree({ 'a/link': hardlink('big') }), ['1']);
    {
      const snapshot = { kind: 'active', parents: ['2', '1'] } as const;
      await using _a = await layers.mount({ id: '3', ...snapshot }, here);
      await using _b = await layers.mount({ id: '4', ...snapshot }, there);
      assert.equal(readFileSync(join(here, 'a/link'), 'utf8'), 'x'.repeat(100_000));
      // Index and tar of the first layer, the same and the other's tar of the second.
      assert.equal(loopsOf(root).length, 5);
      const { dev } = statSync(join(root, 'run/layers/1'));
      const device = `${dev >> 8}:${dev & 0xff}`;
      assert.equal(isLoopOf(device, join(layers.directory, '1', 'index.erofs')), true);
      assert.equal(isLoopOf(device, join(layers.directory, '2', 'index.erofs')), false);
    }
    await layers.driver.release!(() => []);
    // A mount namespace that somebody makes has copies of the mounts, for a moment.
    for (let n = 0; loopsOf(root).length > 0 && n < 6000; n++) await setTimeout(10);
    assert.deepEqual(loopsOf(root), []);
  }),
);

test('a loop device of nothing is refused', { skip }, () =>
  onTmpfs(async (root) => {
    assert.throws(
      () => attachLoop(join(root, 'none')),
      (error) => isCode(error, 'NOT_FOUND'),
    );
    assert.equal(isLoopOf('0:1', join(root, 'none')), false);
  }),
);
