import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../../../errors.ts';
import { active, edit, make, onBench, SMALL, write } from '../../../testing/drivers/thin-bench.ts';
import { needs } from '../../../testing/need.ts';

const MIB = 1 << 20;
const skip = needs('devicemapper');

test('a pool that is almost full takes nothing new, and keeps what it has', { skip }, () =>
  onBench(async (bench) => {
    const options = { ...SMALL, loopDataSize: 64 * MIB, minFreeSpace: 50 };
    await using driver = bench.open(options);
    await make(bench, driver, active('1'), (path) => write(path, 34));
    await driver.seal!(active('1'));
    await assert.rejects(driver.create(active('2', '1')), (error) =>
      isCode(error, 'RESOURCE_EXHAUSTED'),
    );
    assert.deepEqual(Object.keys(bench.state().layers), ['1']);
    await edit(bench, driver, { id: 'v', kind: 'view', parents: ['1'] }, (path) =>
      assert.equal(readFileSync(join(path, 'big')).length, 34 * MIB),
    );
    await driver.remove(active('1'));
    await driver.purge!();
    await driver.create(active('2'));
    await driver.release!(() => []);
  }),
);

test('what a full pool did not take is never frozen as if it were there', { skip }, () =>
  onBench(async (bench) => {
    await using driver = bench.open({ ...SMALL, loopDataSize: 64 * MIB, minFreeSpace: 0 });
    await make(bench, driver, active('1'), (path) => writeFileSync(join(path, 'kept'), 'kept'));
    await driver.seal!(active('1'));
    await driver.create(active('2', '1'));
    await edit(bench, driver, active('2', '1'), (path) => {
      // Into the page cache, more than there is room for.
      try {
        writeFileSync(join(path, 'big'), Buffer.alloc(90 * MIB, 1));
      } catch {}
    });
    await driver.release!(() => []);
    await assert.rejects(
      driver.seal!(active('2', '1')),
      (error) => isCode(error, 'RESOURCE_EXHAUSTED') || isCode(error, 'DATA_LOSS'),
    );
    // It goes, and the rest is as it was.
    await driver.remove(active('2'));
    await driver.purge!();
    await edit(bench, driver, { id: 'v', kind: 'view', parents: ['1'] }, (path) =>
      assert.equal(readFileSync(join(path, 'kept'), 'utf8'), 'kept'),
    );
    await driver.release!(() => []);
    await make(bench, driver, active('3', '1'), (path) => write(path, 8));
    await driver.seal!(active('3', '1'));
  }),
);

test(
  'a pool whose metadata is full keeps what it has, says what to do, and goes on when that is done',
  { skip: skip || needs('thin_check') },
  () =>
    onBench(async (bench) => {
      const KIB = 1 << 10;
      await using driver = bench.open({ ...SMALL, loopMetadataSize: 128 * KIB, minFreeSpace: 0 });
      const isFull = (error: unknown): boolean => isCode(error, 'RESOURCE_EXHAUSTED');
      const sealed: string[] = [];
      const layer = async (id: string): Promise<void> => {
        const snapshot = active(id, ...sealed);
        await driver.create(snapshot);
        // A mount, a write or a sync fails when the pool takes it no more.
        await edit(bench, driver, snapshot, (path) => write(path, 2)).catch(() => undefined);
        await driver.release!(() => []);
        await driver.seal!(snapshot);
        sealed.unshift(id);
      };
      const view = async (): Promise<number> => {
        let bytes = 0;
        await edit(bench, driver, { id: 'v', kind: 'view', parents: sealed }, (path) => {
          bytes = readFileSync(join(path, 'big')).length;
        });
        await driver.release!(() => []);
        return bytes;
      };
      const failure: unknown = await (async () => {
        for (let id = 1; id < 100; id++) await layer(String(id));
      })().catch((error: unknown) => error);
      assert.ok(isFull(failure), String(failure));
      assert.match(String(failure), /its metadata is full .* make it larger/);
      assert.ok(sealed.length >= 2, `${sealed.length}`);
      assert.equal(await view(), sealed.length * 2 * MIB);
      // Nothing is made, and nothing is taken back yet.
      const torn = String(sealed.length + 1);
      await assert.rejects(layer('x'), isFull);
      await driver.remove(active(torn));
      await driver.purge!().catch((error: unknown) => assert.ok(isFull(error), String(error)));
      await driver.release!(() => []);

      const metadata = join(bench.own, 'metadata');
      execFileSync('thin_check', ['--clear-needs-check-flag', metadata], { stdio: 'pipe' });
      truncateSync(metadata, MIB);
      await driver.purge!();
      assert.deepEqual(bench.state().removed, []);
      await layer('y');
      assert.equal(await view(), sealed.length * 2 * MIB);
      await driver.release!(() => []);
      execFileSync('thin_check', [metadata], { stdio: 'pipe' });
    }),
);
