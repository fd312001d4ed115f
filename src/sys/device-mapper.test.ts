import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { isCode } from '../errors.ts';
import { needs } from '../testing/need.ts';
import {
  activateDevice,
  deviceStatus,
  deviceTable,
  findDevice,
  hasTarget,
  listDevices,
  messageDevice,
  removeDevice,
  resumeDevice,
  suspendDevice,
} from './device-mapper.ts';
import { sizeOfDevice } from './block-device.ts';

const skip = needs('devicemapper');
/** Two lines of the target that fails everything: it is part of the device mapper itself. */
const TABLE = [
  { start: 0, length: 8, type: 'error', parameters: '' },
  { start: 8, length: 16, type: 'error', parameters: '' },
];

async function withDevice(use: (name: string) => void | Promise<void>): Promise<void> {
  const name = `mica-test-${process.pid}`;
  try {
    await use(name);
  } finally {
    removeDevice(name, { deferred: true });
  }
}

test('a device serves what its table says, is listed, and goes', { skip }, () =>
  withDevice((name) => {
    assert.equal(findDevice(name), undefined);
    const { minor, isLive } = activateDevice(name, TABLE, { readonly: true });
    assert.ok(isLive);
    assert.ok(listDevices().includes(name));
    assert.equal(sizeOfDevice(`/dev/dm-${minor}`), 24 * 512);
    assert.deepEqual(deviceTable(name), TABLE);
    assert.equal(deviceStatus(name).length, 2);
    assert.equal(findDevice(name)?.isReadonly, true);
    // What serves stays as it is.
    assert.equal(activateDevice(name, TABLE.slice(1)).minor, minor);
    assert.equal(deviceTable(name).length, 2);
    removeDevice(name);
    removeDevice(name);
    assert.ok(!listDevices().includes(name));
    assert.ok(!existsSync(`/dev/dm-${minor}`));
  }),
);

test('one that is in use goes with its last user, unless it is wanted again', { skip }, () =>
  withDevice(async (name) => {
    const { minor } = activateDevice(name, TABLE);
    const use = (): number => openSync(`/dev/dm-${minor}`, 'r');
    let fd = use();
    assert.throws(
      () => removeDevice(name),
      (error) => isCode(error, 'FAILED_PRECONDITION'),
    );
    removeDevice(name, { deferred: true });
    assert.equal(findDevice(name)?.isLeaving, true);
    assert.equal(activateDevice(name, TABLE).minor, minor);
    closeSync(fd);
    assert.equal(findDevice(name)?.isLeaving, false);
    fd = use();
    removeDevice(name, { deferred: true });
    closeSync(fd);
    for (let n = 0; findDevice(name) !== undefined && n < 6000; n++) await setTimeout(10);
    assert.equal(findDevice(name), undefined);
  }),
);

test('what a process left suspended serves again', { skip }, () =>
  withDevice((name) => {
    activateDevice(name, TABLE);
    suspendDevice(name);
    assert.equal(findDevice(name)?.isSuspended, true);
    assert.equal(resumeDevice(name).isSuspended, false);
    suspendDevice(name);
    assert.equal(activateDevice(name, TABLE).isSuspended, false);
  }),
);

test('a table that cannot be loaded leaves no device', { skip }, () =>
  withDevice((name) => {
    const wrong = [{ start: 0, length: 8, type: 'thin', parameters: '1:2 3' }];
    assert.throws(() => activateDevice(name, wrong));
    assert.equal(findDevice(name), undefined);
    assert.throws(
      () => messageDevice(name, 'hello'),
      (error) => isCode(error, 'NOT_FOUND'),
    );
  }),
);

test('targets are known, or not', { skip }, () => {
  assert.equal(hasTarget('thin-pool'), true);
  assert.equal(hasTarget('no-such-target'), false);
});
