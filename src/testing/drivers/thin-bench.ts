import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { devicemapper, type DeviceMapperOptions } from '../../snapshot/drivers/devicemapper.ts';
import { readState, type State } from '../../snapshot/drivers/devicemapper/state.ts';
import type { CreateOptions, Driver, Snapshot } from '../../snapshot/driver.ts';
import { removeDevice } from '../../sys/device-mapper.ts';
import { unmount } from '../../sys/mount/unmount.ts';
import { readMountinfo } from '../../sys/mountinfo.ts';
import { within } from '../mounted.ts';
import { removePool } from './thin-pools.ts';

const MIB = 1 << 20;
/** A small pool of files. */
export const SMALL: DeviceMapperOptions = {
  baseSize: 128 * MIB,
  loopDataSize: 512 * MIB,
  loopMetadataSize: 4 * MIB,
};

/** Name of a pool that is not the driver's. */
export const givenPool: string = `mica-given-${process.pid}`;

/** The driver devicemapper with a store's place around it, for tests of its own. */
export interface Bench {
  readonly root: string;
  /** The driver's own directory. */
  readonly own: string;
  readonly open: (options?: DeviceMapperOptions) => Driver;
  readonly state: () => State;
}

/** A place for a store, from which all devices vanish. */
export async function onBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-dm-'));
  const root = directory.path;
  const [layers, own] = [join(root, 'layers'), join(root, 'devicemapper')];
  mkdirSync(layers);
  mkdirSync(join(root, 'target'));
  try {
    await body({
      root,
      own,
      open: (options = SMALL) => devicemapper(layers, options),
      state: () => readState(own)!,
    });
  } finally {
    for (const { target } of readMountinfo().reverse())
      if (target.startsWith(`${root}/`)) unmount(target, { detach: true });
    removePool(readState(own));
    removeDevice(givenPool, { deferred: true });
  }
}

export const active = (id: string, ...parents: string[]): Snapshot => ({
  id,
  kind: 'active',
  parents,
});

export async function edit(
  { root }: Bench,
  driver: Driver,
  snapshot: Snapshot,
  change: (path: string) => void | Promise<void>,
): Promise<void> {
  await within(await driver.mounts!(snapshot), join(root, 'target'), change);
}

export async function make(
  bench: Bench,
  driver: Driver,
  snapshot: Snapshot,
  change: (path: string) => void,
  options: CreateOptions = {},
): Promise<void> {
  await driver.create(snapshot, options);
  await edit(bench, driver, snapshot, change);
  await driver.release!(() => []);
}

/** Synced, a MiB at a time. */
export const write = (path: string, mib: number): void => {
  for (let n = 0; n < mib; n++)
    writeFileSync(join(path, 'big'), Buffer.alloc(MIB, n + 1), { flag: 'a', flush: true });
};
