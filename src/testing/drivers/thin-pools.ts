import { glob, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { devicemapper } from '../../snapshot/drivers/devicemapper.ts';
import { directoryOf, readState, type State } from '../../snapshot/drivers/devicemapper/state.ts';
import { activeDevices } from '../../snapshot/drivers/devicemapper/session.ts';
import { poolName } from '../../snapshot/drivers/devicemapper/activation.ts';
import { removeDevice } from '../../sys/device-mapper.ts';
import { unmount } from '../../sys/mount/unmount.ts';
import { readMountinfo } from '../../sys/mountinfo.ts';
import type { Environment, Space, WantedEnvironment } from './suite.ts';

const MIB = 1 << 20;

/** Directories whose drivers make thin pools of sparse files. Nothing is left of them. */
export async function thinPools({ small, large }: WantedEnvironment): Promise<Environment> {
  const directory = await mkdtempDisposable(join(large?.directory ?? tmpdir(), 'mica-dm-'));
  // What is small is the file system: a full pool has tests of its own, since there only who syncs is told.
  const base = (large ? 10 * 1024 : small ? 96 : 256) * MIB;
  return {
    path: directory.path,
    options: () => [
      `dm.basesize=${base}`,
      `dm.loopdatasize=${(large?.mib ?? 2048) * MIB}`,
      `dm.loopmetadatasize=${(large ? 128 : 8) * MIB}`,
    ],
    held(layers) {
      const state = readState(directoryOf(dirname(layers)));
      return Object.keys(state?.layers ?? {});
    },
    space: async (layers) => ({ used: await usedOf(layers), free: base }),
    async [Symbol.asyncDispose]() {
      for (const { target } of readMountinfo().reverse())
        if (target.startsWith(`${directory.path}/`)) unmount(target, { detach: true });
      for await (const file of glob('**/devicemapper/pool.json', { cwd: directory.path }))
        removePool(readState(dirname(join(directory.path, file))));
      await directory[Symbol.asyncDispose]();
    },
  };
}

async function usedOf(layers: string): Promise<Space['used']> {
  await using driver = devicemapper(layers);
  const { 'Data Space Used': used = '0' } = await driver.status!();
  return Number(used.split(' ')[0]);
}

/** Ends the service of a pool, and of all that stands on it, with its last user. */
export function removePool(state: State | undefined): void {
  if (state === undefined) return;
  const { tag } = state;
  for (const name of [...activeDevices(tag), poolName(tag)]) removeDevice(name, { deferred: true });
}
