import { existsSync } from 'node:fs';
import { CANDIDATES, type DriverName } from '../../snapshot/drivers/candidates.ts';
import { erofs } from '../../snapshot/drivers/erofs.ts';
import { parseDriverOptions } from '../../snapshot/drivers/options.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import { type Need, needs } from '../need.ts';
import { loopFileSystem } from './environment.ts';
import { windowsLayerOf } from '../windows-layer.ts';
import type { DriverLimits, DriverSuite } from './suite.ts';
import { thinPools } from './thin-pools.ts';
import { zfsPool } from './zfs-pool.ts';

const OF_ZFS_FUSE: DriverLimits = {
  owners: { most: 2 ** 31 - 1, reason: 'zfs-fuse knows no larger ones, as Solaris' },
  times: { last: 2 ** 31 - 1, reason: 'zfs-fuse sets no later ones' },
  tried: { layers: 128, reason: 'each is mounted to be filled, and zfs-fuse takes its time' },
  kills: 'zfs-fuse now and then answers no more when its commands end in the middle',
};

/**
 * Every storage driver that Mica has, for every suite. To add one:
 *
 * 1. an entry here: its `name` (a candidate of `snapshot/drivers/candidates.ts`, through which it
 *    is opened), what it `needs` of the machine (`testing/need.ts`), and an `environment` if it
 *    does not work in any directory of any file system: `loopFileSystem('btrfs')` is one;
 *    write your own for a pool;
 * 2. a file `snapshot/drivers/suites/NAME.test.ts` with one statement,
 *    `testStorage(driverNamed('NAME'))`: a process of its own, so that drivers are tested side by side;
 * 3. `limits`, with the reason, for what the technology cannot do. What it does wrong is a bug.
 */
export const drivers: readonly DriverSuite[] = [
  row({ name: 'erofs', needs: ['root', 'overlay', 'erofs'] }),
  row({
    name: 'erofs, every stack merged',
    needs: ['root', 'overlay', 'erofs'],
    open: (layers, parts) => erofs(layers, { ...parts, mergeFrom: 1 }),
  }),
  row({
    name: 'overlay2',
    needs: ['overlay'],
    limits: { depth: { layers: 500, reason: 'OVL_MAX_STACK of the kernel' } },
  }),
  row({
    name: 'fuse-overlayfs',
    needs: ['fuse-overlayfs'],
    limits: {
      depth: { layers: 500, reason: 'every layer takes a descriptor of its process' },
      inexact: 'docs/drivers/fuse-overlayfs.md, "What the program does otherwise"',
    },
  }),
  row({
    name: 'aufs',
    needs: ['aufs'],
    limits: { depth: { layers: 126, reason: 'CONFIG_AUFS_BRANCH_MAX_127 of most kernels' } },
  }),
  row({ name: 'vfs', needs: ['root'] }),
  row({
    name: 'btrfs',
    needs: ['btrfs'],
    environment: loopFileSystem('btrfs', { small: 128 }),
  }),
  row({
    name: 'devicemapper',
    needs: ['devicemapper'],
    environment: thinPools,
    limits: {
      tried: { layers: 128, reason: 'its kernel is mostly one in an interpreted machine' },
      overhead: {
        bytes: 512 * 1024,
        reason: 'a pool has blocks of 64 KiB, each file system a journal',
      },
    },
  }),
  row({
    name: 'zfs',
    needs: ['zfs'],
    environment: zfsPool,
    limits: existsSync('/dev/zfs') ? {} : OF_ZFS_FUSE,
  }),
  row({ name: 'tar', needs: [], limits: { mountless: 'tars are not unpacked' } }),
  row({
    name: 'windowsfilter',
    needs: [],
    limits: {
      mountless: 'only Windows mounts layers of its own',
      holes: 'archives of Windows know none',
    },
    layerOf: windowsLayerOf,
  }),
];

/** The entry of this name. */
export function driverNamed(name: string): DriverSuite {
  const found = drivers.find((driver) => driver.name === name);
  if (found === undefined) throw new Error(`no driver ${name} in the table`);
  return found;
}

type Row = Pick<DriverSuite, 'name'> &
  Partial<Pick<DriverSuite, 'open' | 'environment' | 'limits' | 'layerOf'>> & {
    readonly needs: readonly Need[];
  };

function row({ needs: needed, ...suite }: Row): DriverSuite {
  return {
    module: import.meta.url,
    open: candidate(suite.name),
    ...suite,
    // Found out only for what is tested.
    get skip() {
      return needs(...needed);
    },
  };
}

/** A driver as a store opens it. */
function candidate(name: string): DriverSuite['open'] {
  return (layers, { options, ...parts }) =>
    CANDIDATES.find((one) => one.name === (name as DriverName))!.load(layers, {
      ...parts,
      form: inUserNamespace() ? 'userxattr' : 'overlay',
      options: parseDriverOptions(options),
    });
}
