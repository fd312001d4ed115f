import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { unmountBelow } from './environment.ts';
import { imageFile } from './image-file.ts';
import type { Environment, Space, WantedEnvironment } from './suite.ts';
import { zfsDaemon } from './zfs-daemon.ts';

const run = promisify(execFile);

/** A ZFS pool on a file, with a dataset for each store. Needs root, and the kernel's ZFS or zfs-fuse. */
export async function zfsPool({ small, large }: WantedEnvironment): Promise<Environment> {
  await using undo = new AsyncDisposableStack();
  undo.use(await zfsDaemon());
  const directory = undo.use(await mkdtempDisposable(join(tmpdir(), 'mica-zfs-')));
  const path = join(directory.path, 'stores');
  const pool = `mica-test-${randomBytes(6).toString('hex')}`;
  const file = undo.use(await imageFile(small ? 128 : 4096, large));
  const ofPool = ['-O', 'mountpoint=none', '-O', 'atime=off', '-o', 'cachefile=none'];
  await run('zpool', ['create', '-f', ...ofPool, pool, file.path]);
  undo.defer(() => destroy(pool));
  await mkdir(path);
  undo.defer(() => unmountBelow(path));
  let datasets = 0;
  const all = undo.move();
  return {
    path,
    async options() {
      const name = `${pool}/${++datasets}`;
      await run('zfs', ['create', name]);
      return [`zfs.fsname=${name}`];
    },
    held,
    space: () => spaceOf(pool),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Names of the datasets of a store. */
async function held(layers: string): Promise<string[]> {
  const told = join(dirname(layers), 'zfs.json');
  if (!existsSync(told)) return [];
  const { dataset } = JSON.parse(readFileSync(told, 'utf8')) as { dataset: string };
  const list = ['list', '-H', '-r', '-d', '1', '-o', 'name', dirname(dataset)];
  const { stdout: above } = await run('zfs', list);
  if (!above.split('\n').includes(dataset)) return [];
  const { stdout } = await run('zfs', [...list.slice(0, -1), dataset]);
  return stdout
    .split('\n')
    .filter((name) => name.startsWith(`${dataset}/`))
    .map((name) => name.slice(dataset.length + 1));
}

/** As it is now: making a snapshot writes down what was not yet. */
async function spaceOf(pool: string): Promise<Space> {
  await run('zfs', ['snapshot', `${pool}@now`]);
  await run('zfs', ['destroy', `${pool}@now`]);
  const get = ['get', '-H', '-p', '-o', 'value', 'used,available', pool];
  const { stdout } = await run('zfs', get);
  const [used, free] = stdout.trim().split('\n').map(Number);
  return { used: used!, free: free! };
}

/** What is being unmounted keeps a pool busy for a moment. */
async function destroy(pool: string): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      return void (await run('zpool', ['destroy', '-f', pool]));
    } catch (error) {
      if (attempt === 100) throw error;
      await setTimeout(50);
    }
}
