import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../../db/open.ts';
import { readMountinfo } from '../../sys/mountinfo.ts';
import { performMounts } from '../../sys/mount.ts';
import { unmount } from '../../sys/mount/unmount.ts';
import { killAtEveryStep } from '../../testing/crash.ts';
import { needs } from '../../testing/need.ts';
import type { DriverName } from './candidates.ts';
import { chooseDriver, rememberedDriver } from './index.ts';
import { onTrial, sweepTrials } from './trial.ts';

const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-trial-'));

const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

const mountsBelow = (path: string): string[] =>
  readMountinfo()
    .filter(({ target }) => target.startsWith(path))
    .map(({ target }) => target);

// Mounts that are shared with others, and one that a program serves.
const DRIVERS: readonly (readonly [DriverName, string | false])[] = [
  ['erofs', needs('overlay', 'erofs')],
  ['fuse-overlayfs', needs('fuse-overlayfs')],
];

for (const [wanted, skip] of DRIVERS)
  test(
    `who is killed at any step of trying ${wanted} leaves nothing that the next open does not take away`,
    { skip },
    async () => {
      const steps = await killAtEveryStep({
        program: (root) => `
          const { openDatabase } = await import(${url('../../db/open.ts')});
          const { chooseDriver } = await import(${url('./index.ts')});
          using db = await openDatabase(${JSON.stringify(root)});
          beginCounting();
          await chooseDriver(db, { wanted: '${wanted}' });`,
        async check(root) {
          using db = await openDatabase(root);
          await chooseDriver(db, { wanted: rememberedDriver(db)?.driver ?? 'tar' });
          assert.deepEqual(mountsBelow(root), []);
          assert.deepEqual(readdirSync(join(root, 'layers')), []);
        },
      });
      assert.ok(steps > 5, `${steps} steps`);
    },
  );

test('a trial that goes on is left alone, and leaves nothing itself', async () => {
  await using dir = await scratch();
  await onTrial(dir.path, (path) => {
    assert.deepEqual(readdirSync(path), []);
    writeFileSync(join(path, 'file'), '');
    sweepTrials(dir.path);
    assert.deepEqual(readdirSync(path), ['file']);
  });
  assert.deepEqual(readdirSync(dir.path), []);
});

test('trials side by side, with sweeps in between, do not disturb each other', async () => {
  await using dir = await scratch();
  const one = async (): Promise<void> =>
    onTrial(dir.path, async (path) => {
      writeFileSync(join(path, 'file'), '');
      for (let n = 0; n < 5; n++) {
        sweepTrials(dir.path);
        await new Promise(setImmediate);
        assert.ok(existsSync(join(path, 'file')));
      }
    });
  await Promise.all(Array.from({ length: 20 }, one));
  assert.deepEqual(readdirSync(dir.path), []);
});

test('a trial that failed leaves nothing, and what it threw is told', async () => {
  await using dir = await scratch();
  await assert.rejects(
    onTrial(dir.path, () => {
      throw new Error('no');
    }),
    { message: 'no' },
  );
  assert.deepEqual(readdirSync(dir.path), []);
});

for (const through of ['a path', 'a link'])
  test(
    `whatever is mounted on what is left of a trial, in several layers, is taken off by ${through} to it`,
    { skip: needs('overlay') },
    async () => {
      await using dir = await scratch();
      const layers = join(dir.path, 'layers');
      const link = join(dir.path, 'link');
      symlinkSync('layers', link);
      const left = join(layers, '.trials', 'trial-dead', 'scratch');
      mkdirSync(join(left, 'target'), { recursive: true });
      const memory = { type: 'tmpfs', source: 'tmpfs', options: ['size=64k'] };
      for (let n = 0; n < 2; n++) await performMounts([memory], join(left, 'target'));
      mkdirSync(join(left, 'target', 'inner'));
      await performMounts([memory], join(left, 'target', 'inner'));
      await performMounts([{ type: 'bind', source: left, options: ['rbind', 'ro'] }], left);
      try {
        sweepTrials(through === 'a link' ? link : layers);
        assert.deepEqual(mountsBelow(dir.path), []);
        assert.deepEqual(readdirSync(layers), []);
      } finally {
        for (const target of mountsBelow(dir.path).reverse()) unmount(target, { detach: true });
      }
    },
  );
