import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Database } from '../db/database.ts';
import { Leases } from '../db/leases.ts';
import { openDatabase } from '../db/open.ts';
import { performMounts } from '../sys/mount.ts';
import { unmount } from '../sys/mount/unmount.ts';
import { readMountinfo } from '../sys/mountinfo.ts';
import { erofsOf } from '../testing/erofs-driver.ts';
import { within } from '../testing/mounted.ts';
import { needs } from '../testing/need.ts';
import { type LocalSnapshotter, openSnapshotter } from './local.ts';

/** Mounts of layers belong to all processes that use the store, and end with the last row that needs them. */
const skip = needs('root', 'overlay', 'erofs');

interface Context {
  readonly root: string;
  readonly db: Database;
  readonly snapshots: LocalSnapshotter;
  /** An empty directory below the root. */
  readonly directory: (name: string) => string;
  /** Another process' look at the store. */
  readonly reopen: () => Promise<void>;
}

async function inStore(run: (context: Context) => Promise<void>): Promise<void> {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'mica-shared-'));
  const root = join(scratch.path, 'store');
  using db = await openDatabase(root);
  const driver = erofsOf(join(root, 'layers'), db);
  const open = (): Promise<LocalSnapshotter> => openSnapshotter(db, new Leases(db), driver);
  await using snapshots = await open();
  const directory = (name: string): string => {
    const path = join(root, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  try {
    for (const [name, parent] of [
      ['base', ''],
      ['top', 'base'],
    ] as const) {
      const mounts = await snapshots.prepare('k', parent);
      await within(mounts, directory('made'), (path) => writeFileSync(join(path, name), name));
      await snapshots.commit(name, 'k');
    }
    const reopen = async (): Promise<void> => {
      await using _ = await open();
    };
    await run({ root, db, snapshots, directory, reopen });
  } finally {
    for (const { target, type } of readMountinfo())
      if (type === 'overlay' && target.startsWith(root)) unmount(target, { detach: true });
    await driver.release!(() => []);
  }
}

/** Numbers of the layers that are mounted. */
const mounted = (root: string): string[] =>
  readMountinfo()
    .filter(({ type, target }) => type === 'erofs' && target.startsWith(root))
    .map(({ target }) => target.slice(join(root, 'run/layers/').length))
    .sort();

test('a layer is mounted from the first use to the removal of the last row on it', { skip }, () =>
  inStore(async ({ root, snapshots, directory }) => {
    assert.deepEqual(mounted(root), []);
    const [one, two] = [await snapshots.view('one', 'top'), await snapshots.prepare('two', 'base')];
    assert.deepEqual(mounted(root), []);
    for (const mounts of [one, two]) await within(mounts, directory('here'), () => undefined);
    assert.deepEqual(mounted(root), ['1', '2']);
    await snapshots.remove('one');
    assert.deepEqual(mounted(root), ['1']);
    await snapshots.commit('three', 'two');
    assert.deepEqual(mounted(root), []);
  }),
);

test('what a killed process left mounted is unmounted by who opens the store next', { skip }, () =>
  inStore(async ({ root, db, snapshots, directory, reopen }) => {
    await within(await snapshots.view('v', 'top'), directory('here'), () => undefined);
    await reopen();
    assert.deepEqual(mounted(root), ['1', '2']);
    // Its row is gone, its process before it unmounted.
    db.run(`delete from snapshot where name = 'v'`);
    await reopen();
    assert.deepEqual(mounted(root), []);
  }),
);

test('a mount namespace made later sees the same mounts, and its pages', { skip }, () =>
  inStore(async ({ root, snapshots, directory }) => {
    const mounts = await snapshots.view('v', 'top');
    await using _ = await performMounts(mounts, directory('here'));
    const point = join(root, 'run/layers/1');
    const { stdout } = spawnSync('unshare', ['-m', 'stat', '-c', '%d', point], {
      encoding: 'utf8',
    });
    assert.equal(Number(stdout), statSync(point).dev);
  }),
);

/** Shows a view again and again, each time another one, and reads what is in it; `victim` until it is killed. */
const program = (root: string, name: string): string => `
  const url = (path) => new URL(path, ${JSON.stringify(import.meta.url)}).href;
  const { openDatabase } = await import(url('../db/open.ts'));
  const { Leases } = await import(url('../db/leases.ts'));
  const { openSnapshotter } = await import(url('./local.ts'));
  const { erofsOf } = await import(url('../testing/erofs-driver.ts'));
  const { performMounts } = await import(url('../sys/mount.ts'));
  const { readFileSync } = await import('node:fs');
  const root = ${JSON.stringify(root)};
  using db = await openDatabase(root);
  const driver = erofsOf(root + '/layers', db);
  await using snapshots = await openSnapshotter(db, new Leases(db), driver);
  for (let round = 0; round < 40 || ${name === 'victim'}; round++) {
    const key = ${JSON.stringify(name)} + round;
    const mounts = await snapshots.view(key, 'top');
    {
      await using mounted = await performMounts(mounts, root + '/' + ${JSON.stringify(name)});
      const read = ['base', 'top'].map((name) => readFileSync(mounted.target + '/' + name, 'utf8'));
      if (read.join() !== 'base,top') throw new Error('read ' + read.join());
    }
    await snapshots.remove(key);
    if (round === 5) process.stdout.write('going\\n');
  }`;

test(
  'processes mount and unmount the same layers at once, and one of them is killed',
  { skip },
  () =>
    inStore(async ({ root, directory, reopen }) => {
      const run = (name: string): ReturnType<typeof spawn> => {
        directory(name);
        const stdio = ['ignore', 'pipe', 'inherit'] as const;
        return spawn(process.execPath, ['--input-type=module', '-e', program(root, name)], {
          stdio: [...stdio],
        });
      };
      const [victim, ...others] = ['victim', 'b', 'c'].map(run);
      const ends = [victim!, ...others].map((child) => once(child, 'exit'));
      await once(victim!.stdout!, 'data');
      victim!.kill('SIGKILL');
      const codes = (await Promise.all(ends)).map(([code, signal]) => (signal ?? code) as unknown);
      assert.deepEqual(codes, ['SIGKILL', 0, 0]);
      for (const { target, type } of readMountinfo())
        if (type === 'overlay' && target.startsWith(root)) unmount(target);
      await reopen();
      // A view that the victim had made is nobody's but its own: its row stays until somebody removes it.
      assert.equal(mounted(root).length === 0 || mounted(root).length === 2, true);
    }),
);
