import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { killAtEveryStep } from '../../../testing/crash.ts';
import { active, SMALL } from '../../../testing/drivers/thin-bench.ts';
import { removePool } from '../../../testing/drivers/thin-pools.ts';
import { within } from '../../../testing/mounted.ts';
import { needs } from '../../../testing/need.ts';
import { unmount } from '../../../sys/mount/unmount.ts';
import { readMountinfo } from '../../../sys/mountinfo.ts';
import type { Driver, Snapshot } from '../../driver.ts';
import { devicemapper } from '../devicemapper.ts';
import { activeDevices } from './session.ts';
import { readState, type State } from './state.ts';

const module = (path: string): string =>
  JSON.stringify(new URL(path + import.meta.url.slice(-3), import.meta.url).href);

/** Of the driver alone: what a store does around it is the suite's. */
const lifeOfALayer = (root: string): string => `
  const { devicemapper } = await import(${module('../devicemapper')});
  const { performMounts } = await import(${module('../../../sys/mount')});
  const { mkdirSync, writeFileSync } = await import('node:fs');
  const root = ${JSON.stringify(root)};
  mkdirSync(root + '/layers', { recursive: true });
  mkdirSync(root + '/target');
  const driver = devicemapper(root + '/layers', ${JSON.stringify(SMALL)});
  const make = async (id, ...parents) => {
    const snapshot = { id, kind: 'active', parents };
    await driver.create(snapshot);
    {
      await using mounted = await performMounts(await driver.mounts(snapshot), root + '/target');
      writeFileSync(root + '/target/' + id, 'written');
    }
    await driver.release(() => []);
    await driver.seal(snapshot);
  };
  await make('1');
  beginCounting();
  await make('2', '1');
  await driver.remove({ id: '2', kind: 'committed', parents: ['1'] });
  await driver.purge();
  await driver.release(() => []);`;

test(
  'a pool whose user is killed at any step is whole, and has nothing that nobody knows',
  { skip: needs('devicemapper', 'thin_check') },
  async () => {
    const steps = await killAtEveryStep({ program: lifeOfALayer, check });
    assert.ok(steps > 30, `${steps} steps`);
  },
);

async function check(root: string): Promise<void> {
  const own = join(root, 'devicemapper');
  const known = readState(own);
  try {
    for (const { target } of readMountinfo()) if (target === join(root, 'target')) unmount(target);
    await using driver = devicemapper(join(root, 'layers'), SMALL);
    await driver.release!(() => []);
    assert.deepEqual(activeDevices(known!.tag), []);
    await driver.remove(active('2'));
    await driver.purge!();
    // All can be done now that could be done before.
    await driver.create(active('3', '1'));
    assert.deepEqual(await filesOf(driver, active('3', '1'), root), { 1: 'written' });
    const state = readState(own)!;
    assert.deepEqual(
      [Object.keys(state.layers), state.removed, state.intent],
      [['1', '3'], [], undefined],
    );
    assert.deepEqual(devicesIn(own), devicesOf(state));
    for (const id of ['3', '1']) await driver.remove(active(id));
    await driver.purge!();
    assert.deepEqual(readdirSync(own), []);
  } finally {
    removePool(known);
  }
}

async function filesOf(
  driver: Driver,
  snapshot: Snapshot,
  root: string,
): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const target = join(root, 'target');
  mkdirSync(target, { recursive: true });
  await within(await driver.mounts!(snapshot), target, (path) => {
    for (const name of readdirSync(path)) files[name] = readFileSync(join(path, name), 'utf8');
  });
  await driver.release!(() => []);
  return files;
}

/** The devices of a pool of files that does not serve, as its metadata says; it is checked first. */
function devicesIn(own: string): string[] {
  const metadata = join(own, 'metadata');
  execFileSync('thin_check', [metadata], { stdio: 'pipe' });
  const dump = execFileSync('thin_dump', [metadata], { encoding: 'utf8' });
  return [...dump.matchAll(/<device dev_id="(\d+)"/g)].map(([, id]) => id!).sort();
}

const devicesOf = ({ base, layers }: State): string[] =>
  [base!, ...Object.values(layers)].map(({ device }) => String(device)).sort();
