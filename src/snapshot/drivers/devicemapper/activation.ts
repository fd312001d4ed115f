import { closeSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../../../errors.ts';
import { majorOf, minorOf } from '../../../sys/at.ts';
import { blockDeviceAt, sizeOfDevice } from '../../../sys/block-device.ts';
import {
  activateDevice,
  type DeviceState,
  deviceTable,
  findDevice,
  removeDevice,
  type Target,
} from '../../../sys/device-mapper.ts';
import { errnoOf, fromNode } from '../../../sys/errno.ts';
import { attachLoop } from '../../../sys/loop.ts';
import { POOL_BLOCK } from './settings.ts';
import type { Backing } from './state.ts';

/** A pool that serves. */
export interface ActivePool {
  /** For the device mapper: its name, or its number where somebody else named it. */
  readonly device: string | number;
  /** `<major>:<minor>`, as tables name it. */
  readonly number: string;
  /** For people. */
  readonly label: string;
  /** In bytes. */
  readonly blockSize: number;
}

const SECTOR = 512;
/** Events for people who watch pools come when so many blocks are left. */
const LOW_WATER = 32_768;

export const poolName = (tag: string): string => `mica-${tag}-pool`;

const dataFile = (directory: string): string => join(directory, 'data');
const metadataFile = (directory: string): string => join(directory, 'metadata');

/** Makes the pool serve; one that does stays as it is. @throws NOT_FOUND, FAILED_PRECONDITION */
export function activatePool(backing: Backing, tag: string, directory: string): ActivePool {
  if (backing.kind === 'pool') return givenPool(backing.path);
  const name = poolName(tag);
  const there = findDevice(name);
  const { major, minor } =
    there?.isLive === true && !there.isSuspended ? there : startPool(backing, name, directory);
  return { device: name, number: `${major}:${minor}`, label: name, blockSize: POOL_BLOCK };
}

function startPool(
  backing: Exclude<Backing, { kind: 'pool' }>,
  name: string,
  directory: string,
): DeviceState {
  // Loop devices end with what uses them: from here on that is the pool.
  using loops = new DisposableStack();
  const [data = '', metadata = ''] =
    backing.kind === 'devices'
      ? [backing.data, backing.metadata]
      : [dataFile(directory), metadataFile(directory)].map(
          (path) => loops.use(attachLoop(path, { writable: true })).path,
        );
  const parameters = [
    numberOf(metadata),
    numberOf(data),
    POOL_BLOCK / SECTOR,
    LOW_WATER,
    '2 skip_block_zeroing error_if_no_space',
  ].join(' ');
  const length = Math.floor(sizeOfDevice(data) / SECTOR);
  return activateDevice(name, [{ start: 0, length, type: 'thin-pool', parameters }]);
}

/** @throws FAILED_PRECONDITION (EBUSY) while something stands on it */
export function deactivatePool(backing: Backing, tag: string): void {
  if (backing.kind !== 'pool') removeDevice(poolName(tag));
}

/** Makes the files of a pool of files: sparse, and empty. */
export function makeBacking(backing: Backing, directory: string): void {
  if (backing.kind !== 'loop') return;
  makeSparse(dataFile(directory), backing.dataSize);
  makeSparse(metadataFile(directory), backing.metadataSize);
}

/** Removes the files of a pool of files that does not serve. */
export function removeBacking(backing: Backing, directory: string): void {
  if (backing.kind !== 'loop') return;
  try {
    for (const path of [dataFile(directory), metadataFile(directory)])
      rmSync(path, { force: true });
  } catch (error) {
    throw fromNode(error);
  }
}

function makeSparse(path: string, size: number): void {
  try {
    // Of a store that never got as far as to say that it has a pool.
    rmSync(path, { force: true });
    const fd = openSync(path, 'wx', 0o600);
    try {
      ftruncateSync(fd, size);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fromNode(error);
  }
}

function givenPool(path: string): ActivePool {
  const device = blockDeviceAt(path);
  if (device === undefined)
    throw new MicaError(
      'NOT_FOUND',
      `thin pool ${path}: there is no such block device; activate the pool first (lvchange -ay, dmsetup create)`,
    );
  const target = targetOf(device);
  if (target?.type !== 'thin-pool')
    throw new MicaError(
      'FAILED_PRECONDITION',
      `thin pool ${path}: it is no device of target thin-pool; give the pool itself, or use dm.datadev and dm.metadatadev to have one made`,
    );
  // Metadata device, data device, block size in sectors, …
  const blockSize = Number(target.parameters.split(' ')[2]) * SECTOR;
  return { device, number: `${majorOf(device)}:${minorOf(device)}`, label: path, blockSize };
}

function targetOf(device: number): Target | undefined {
  try {
    return deviceTable(device)[0];
  } catch (error) {
    if (errnoOf(error) === 'ENXIO') return undefined;
    throw error;
  }
}

function numberOf(path: string): string {
  const device = blockDeviceAt(path);
  if (device !== undefined) return `${majorOf(device)}:${minorOf(device)}`;
  throw new MicaError('NOT_FOUND', `thin pool: ${path} is no block device`);
}
