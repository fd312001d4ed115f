import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setMeta } from '../../db/meta.ts';
import { openDatabase } from '../../db/open.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import { needs } from '../../testing/need.ts';
import { chooseDriver, probeDrivers, rememberedDriver } from './index.ts';

const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-choice-'));

test('a new store takes the best driver, and keeps it', { skip: needs('overlay') }, async () => {
  await using dir = await scratch();
  using db = await openDatabase(dir.path);
  assert.equal(rememberedDriver(db), undefined);
  const { driver, reason, rejected } = await chooseDriver(db);
  const form = inUserNamespace() ? 'userxattr' : 'overlay';
  assert.deepEqual([driver.name, driver.form, rejected], ['overlay2', form, []]);
  assert.ok(reason.length > 0);
  assert.deepEqual(rememberedDriver(db), { driver: 'overlay2', form });
  assert.equal((await chooseDriver(db)).driver.form, form);
  assert.equal((await chooseDriver(db, { wanted: 'overlay2' })).driver.name, 'overlay2');
  assert.deepEqual(readdirSync(join(dir.path, 'layers')), []);
});

test('a store keeps what it was made with; another driver is refused with advice', async () => {
  await using dir = await scratch();
  using db = await openDatabase(dir.path);
  assert.equal((await chooseDriver(db, { wanted: 'tar' })).driver.name, 'tar');
  assert.equal((await chooseDriver(db)).driver.name, 'tar');
  await assert.rejects(chooseDriver(db, { wanted: 'vfs' }), {
    code: 'FAILED_PRECONDITION',
    message: /tar.*--root/,
  });
});

test('a driver that does not exist is refused, as is one that only another version has', async () => {
  await using dir = await scratch();
  using db = await openDatabase(dir.path);
  await assert.rejects(chooseDriver(db, { wanted: 'zfs' }), {
    code: 'INVALID_ARGUMENT',
    message: /overlay2, vfs, tar/,
  });
  setMeta(db, 'driver', 'zfs');
  setMeta(db, 'form', 'direct');
  await assert.rejects(chooseDriver(db), { code: 'FAILED_PRECONDITION' });
});

test(
  'where files cannot be given to others, each driver passed over has a reason',
  { skip: needs('root') },
  async () => {
    await using dir = await scratch();
    mkdirSync(join(dir.path, 'layers'));
    const seteuid = process.seteuid!.bind(process);
    const { chownSync } = await import('node:fs');
    chownSync(join(dir.path, 'layers'), 1, 1);
    seteuid(1);
    try {
      const found = await probeDrivers(join(dir.path, 'layers'));
      assert.deepEqual(
        found.map(({ driver, refusal }) => [driver, refusal === undefined]),
        [
          ['overlay2', false],
          ['vfs', false],
          ['tar', true],
        ],
      );
      assert.match(found[0]!.refusal!, /root/);
    } finally {
      seteuid(0);
    }
  },
);
