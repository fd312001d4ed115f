import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../../errors.ts';
import { findDevice, listDevices } from '../../sys/device-mapper.ts';
import { attachLoop } from '../../sys/loop.ts';
import { within } from '../../testing/mounted.ts';
import {
  active,
  edit,
  givenPool,
  make,
  onBench,
  SMALL,
  write,
} from '../../testing/drivers/thin-bench.ts';
import { needs } from '../../testing/need.ts';
import type { Snapshot } from '../driver.ts';
import { activatePool } from './devicemapper/activation.ts';
import { type State, writeState } from './devicemapper/state.ts';
import { thinPool } from './devicemapper/thin-pool.ts';
import type { Pool } from './devicemapper/transactions.ts';

const MIB = 1 << 20;
const skip = needs('devicemapper');

test('nothing serves while nothing can be mounted', { skip }, () =>
  onBench(async (bench) => {
    await using driver = bench.open();
    await make(bench, driver, active('1'), (path) => writeFileSync(join(path, 'x'), '1'));
    const serving = (): string[] =>
      listDevices().filter((name) => name.startsWith(`mica-${bench.state().tag}-`));
    await driver.seal!(active('1'));
    await driver.release!(() => []);
    assert.deepEqual(serving(), []);
    await driver.mounts!({ id: 'v', kind: 'view', parents: ['1'] });
    assert.equal(serving().length, 2);
  }),
);

test('what is done at once to one pool is done one after the other', { skip }, () =>
  onBench(async (bench) => {
    await using one = bench.open();
    await using other = bench.open();
    const ids = ['1', '2', '3', '4'];
    await Promise.all(ids.map((id, n) => (n % 2 === 0 ? one : other).create(active(id))));
    const { layers, base, transaction } = bench.state();
    const devices = [base!, ...Object.values(layers)].map(({ device }) => device);
    assert.deepEqual(Object.keys(layers).sort(), ids);
    assert.equal(new Set(devices).size, 5);
    assert.equal(transaction, 5);
  }),
);

test(
  'each layer that is written to has a file system of its own name, and a whole one',
  { skip: needs('devicemapper', 'thin_check') },
  () =>
    onBench(async (bench) => {
      await using driver = bench.open();
      const uuids = new Set<string>();
      const parents: string[] = [];
      for (const id of ['1', '2', '3']) {
        const snapshot = active(id, ...parents);
        await driver.create(snapshot);
        await edit(bench, driver, snapshot, (path) => writeFileSync(join(path, id), id));
        await driver.seal!(snapshot);
        parents.unshift(id);
        const source = (
          await driver.mounts!({
            id: 'v',
            kind: 'view',
            parents,
          })
        )[0]!.source;
        execFileSync('e2fsck', ['-f', '-n', source], { stdio: 'pipe' });
        uuids.add(
          execFileSync('dumpe2fs', ['-h', source], { stdio: 'pipe' })
            .toString()
            .match(/UUID: +(\S+)/)![1]!,
        );
        await driver.release!(() => []);
      }
      assert.equal(uuids.size, 3);
      execFileSync('thin_check', [join(bench.own, 'metadata')], { stdio: 'pipe' });
    }),
);

test(
  'what a layer has written is freed with it, down to the file of the pool',
  { skip: needs('devicemapper', 'thin_check') },
  () =>
    onBench(async (bench) => {
      await using driver = bench.open();
      await driver.create(active('0'));
      await make(bench, driver, active('1'), (path) => write(path, 40));
      const used = (): number => statSync(join(bench.own, 'data')).blocks * 512;
      const full = used();
      assert.ok(full >= 40 * MIB, String(full));
      await driver.remove(active('1'));
      await driver.purge!();
      assert.ok(used() <= full - 39 * MIB, `${full} ${used()}`);
      assert.deepEqual(bench.state().removed, []);
      execFileSync('thin_check', [join(bench.own, 'metadata')], { stdio: 'pipe' });
    }),
);

test('a limit bounds what is written, and not what its children write', { skip }, () =>
  onBench(async (bench) => {
    await using driver = bench.open();
    await driver.create(active('1'), { maxSize: 8 * MIB });
    await edit(bench, driver, active('1'), (path) => {
      write(path, 7);
      assert.throws(() => write(path, 2), { code: 'ENOSPC' });
      rmSync(join(path, 'big'));
      writeFileSync(join(path, 'x'), '1');
    });
    await driver.seal!(active('1'));
    await driver.create(active('2', '1'));
    await edit(bench, driver, active('2', '1'), (path) => {
      write(path, 20);
      assert.equal(readFileSync(join(path, 'x'), 'utf8'), '1');
    });
  }),
);

test('a layer that somebody still looks into goes with its last user', { skip }, () =>
  onBench(async (bench) => {
    await using driver = bench.open();
    await driver.create(active('1'));
    const source = (await driver.mounts!(active('1')))[0]!.source;
    const { tag, layers } = bench.state();
    const name = `mica-${tag}-${layers['1']!.device}`;
    {
      using _ = { [Symbol.dispose]: keepOpen(source) };
      await driver.remove(active('1'));
      await driver.purge!();
      assert.equal(bench.state().removed.length, 1);
      assert.equal(findDevice(name)?.isLeaving, true);
    }
    await driver.purge!();
    assert.equal(findDevice(name), undefined);
    // With the last layer the pool went, and its files.
    assert.deepEqual(readdirSync(bench.own), []);
  }),
);

function keepOpen(path: string): () => void {
  const loop = attachLoop(path);
  return () => loop[Symbol.dispose]();
}

for (const counted of [false, true])
  test(
    `a device that was made when the machine stopped, ${counted ? 'and counted, is kept' : 'but not counted, is deleted'}`,
    { skip },
    () =>
      onBench(async (bench) => {
        await using driver = bench.open();
        await driver.create(active('1'));
        const state = bench.state();
        const { device: origin, sectors } = state.base!;
        const device = state.nextDevice;
        const intent = { kind: 'create', device, sectors, layer: '2' } as const;
        writeState(bench.own, { ...state, nextDevice: device + 1, intent });
        const pool = activatedPool(state, bench.own);
        pool.snapshot(device, origin);
        if (counted) pool.advance(state.transaction, state.transaction + 1);

        await driver.create(active('3'));
        assert.deepEqual(Object.keys(bench.state().layers), counted ? ['1', '2', '3'] : ['1', '3']);
        assert.equal(bench.state().intent, undefined);
        if (!counted) return assert.throws(() => pool.delete(device), { code: 'INTERNAL' });
        await driver.create(active('2'));
        await edit(bench, driver, active('2'), (path) => assert.deepEqual(readdirSync(path), []));
      }),
  );

const activatedPool = ({ backing, tag }: State, own: string): Pool =>
  thinPool(activatePool(backing, tag, own).device, tag);

test('a store and a pool of different times are told apart', { skip }, () =>
  onBench(async (bench) => {
    await using driver = bench.open();
    await driver.create(active('1'));
    await driver.release!(() => []);
    const old = bench.state();
    await driver.create(active('2'));
    await driver.release!(() => []);
    writeState(bench.own, old);
    await assert.rejects(driver.create(active('3')), (error) => isCode(error, 'DATA_LOSS'));
  }),
);

test(
  'a pool of two devices is made, and a pool that is given is used',
  { skip: needs('devicemapper', 'dmsetup') },
  () =>
    onBench(async (bench) => {
      using devices = new DisposableStack();
      const [data = '', metadata = ''] = ['d', 'm'].map((name) => {
        const path = join(bench.root, name);
        writeFileSync(path, '');
        truncateSync(path, (name === 'd' ? 256 : 8) * MIB);
        return devices.use(attachLoop(path, { writable: true })).path;
      });
      {
        await using driver = bench.open({
          baseSize: 128 * MIB,
          dataDevice: data,
          metadataDevice: metadata,
        });
        await make(bench, driver, active('1'), (path) => writeFileSync(join(path, 'x'), '1'));
        await driver.seal!(active('1'));
        const facts = await driver.status!();
        assert.equal(facts['WARNING'], undefined);
        assert.equal(facts['Pool Mode'], 'rw');
        // What a store was made with stays.
        await assert.rejects(bench.open().create(active('2')), (error) =>
          isCode(error, 'FAILED_PRECONDITION'),
        );
      }
      // Another store does not take what holds something.
      const given = givenPool;
      const table = `0 ${(256 * MIB) / 512} thin-pool ${metadata} ${data} 128 0 1 skip_block_zeroing`;
      const dmsetup = (...words: string[]): string =>
        execFileSync('dmsetup', words, {
          env: { ...process.env, DM_DISABLE_UDEV: '1' },
          encoding: 'utf8',
        });
      rmSync(bench.own, { recursive: true });
      dmsetup('create', given, '--table', table);
      const options = { baseSize: 128 * MIB, thinPool: `/dev/mapper/${given}` };
      await assert.rejects(bench.open(options).create(active('1')), (error) =>
        isCode(error, 'FAILED_PRECONDITION'),
      );
      dmsetup('remove', given);
      writeFileSync(metadata, Buffer.alloc(4096), { flag: 'r+', flush: true });
      dmsetup('create', given, '--table', table);
      await using driver = bench.open(options);
      await make(bench, driver, active('1'), (path) => writeFileSync(join(path, 'x'), '1'));
      await driver.seal!(active('1'));
      assert.ok(findDevice(given)?.isLive, 'a pool that was given stays');
      await driver.remove(active('1'));
      await driver.purge!();
      assert.deepEqual(readdirSync(bench.own), []);
      assert.match(dmsetup('status', given), / 0\/\d+ - rw /);
      dmsetup('remove', given);
    }),
);

test('xfs does as well as ext4', { skip: needs('devicemapper', 'mkfs.xfs') }, () =>
  onBench(async (bench) => {
    await using driver = bench.open({ ...SMALL, baseSize: 320 * MIB, fileSystem: 'xfs' });
    await driver.create(active('1'));
    await edit(bench, driver, active('1'), (path) => writeFileSync(join(path, 'x'), '1'));
    await driver.seal!(active('1'));
    for (const id of ['2', '3']) {
      await driver.create(active(id, '1'));
      await edit(bench, driver, active(id, '1'), (path) => {
        assert.deepEqual(readdirSync(path), ['x']);
        writeFileSync(join(path, id), id);
      });
      await driver.seal!(active(id, '1'));
    }
    // Both at once, with the same UUID.
    const view = (id: string): Snapshot => ({ id: 'v', kind: 'view', parents: [id, '1'] });
    await edit(bench, driver, view('2'), async () => {
      mkdirSync(join(bench.root, 'other'));
      await within(await driver.mounts!(view('3')), join(bench.root, 'other'), (path) =>
        assert.deepEqual(readdirSync(path).sort(), ['3', 'x']),
      );
    });
    await assert.rejects(driver.create(active('4', '1'), { maxSize: MIB }), (error) =>
      isCode(error, 'NOT_IMPLEMENTED'),
    );
  }),
);
