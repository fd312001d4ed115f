import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listDevices, removeDevice } from '../../sys/device-mapper.ts';
import { unmount } from '../../sys/mount/unmount.ts';
import { readMountinfo } from '../../sys/mountinfo.ts';
import type { Environment, WantedEnvironment } from './suite.ts';

const MIB = 1 << 20;

/** Directories whose drivers make thin pools of sparse files. Nothing is left of them. */
export const thinPools =
  (fileSystem: 'ext4' | 'xfs') =>
  async ({ small, large }: WantedEnvironment): Promise<Environment> => {
    const before = new Set(listDevices());
    const directory = await mkdtempDisposable(
      join(large?.directory ?? tmpdir(), `mica-dm-${fileSystem}-`),
    );
    const base = large === undefined ? (fileSystem === 'xfs' ? 512 : 256) : 10 * 1024;
    const data = large?.mib ?? (small ? 64 : 2048);
    return {
      path: directory.path,
      options: () => [
        `dm.fs=${fileSystem}`,
        `dm.basesize=${base * MIB}`,
        `dm.loopdatasize=${data * MIB}`,
        `dm.loopmetadatasize=${(large === undefined ? 8 : 128) * MIB}`,
      ],
      async [Symbol.asyncDispose]() {
        for (const { target } of readMountinfo().reverse())
          if (target.startsWith(`${directory.path}/`)) unmount(target, { detach: true });
        // Volumes come before the pools that they stand on.
        const made = listDevices().filter((name) => name.startsWith('mica-') && !before.has(name));
        for (const pools of [false, true])
          for (const name of made)
            if (name.endsWith('-pool') === pools) removeDevice(name, { deferred: true });
        await directory[Symbol.asyncDispose]();
      },
    };
  };
