import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setMeta } from '../../db/meta.ts';
import { openDatabase } from '../../db/open.ts';
import { lowerdirOption } from '../../sys/mount-data.ts';
import { performMounts } from '../../sys/mount.ts';
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
  const isBest = inUserNamespace() || needs('erofs') !== false ? 'overlay2' : 'erofs';
  const form = isBest === 'erofs' ? 'tar' : inUserNamespace() ? 'userxattr' : 'overlay';
  assert.deepEqual([driver.name, driver.form], [isBest, form]);
  assert.deepEqual(
    rejected.map((one) => one.driver),
    isBest === 'erofs' ? [] : ['erofs'],
  );
  assert.ok(reason.length > 0);
  assert.deepEqual(rememberedDriver(db), { driver: isBest, form });
  assert.equal((await chooseDriver(db)).driver.form, form);
  assert.equal((await chooseDriver(db, { wanted: isBest })).driver.name, isBest);
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

test('a storage option that does not exist is refused, and so is a value that means nothing', async () => {
  await using dir = await scratch();
  using db = await openDatabase(dir.path);
  for (const option of ['erofs.size=1', 'directio=true', 'erofs.directio', 'erofs.directio=1'])
    await assert.rejects(chooseDriver(db, { wanted: 'tar', options: [option] }), {
      code: 'INVALID_ARGUMENT',
      message: new RegExp(option),
    });
  await chooseDriver(db, { wanted: 'tar', options: ['erofs.directio=true'] });
});

test(
  'where the kernel cannot mount EROFS, the next driver is taken and the reason told',
  { skip: needs('root', 'overlay', 'erofs') },
  async () => {
    await using dir = await scratch();
    const layers = join(dir.path, 'layers');
    mkdirSync(layers);
    // An overlay carries no upper layer of another.
    const [lower, upper, work] = ['l', 'u', 'w'].map((name) => join(dir.path, name));
    for (const path of [lower, upper, work]) mkdirSync(path!);
    const dirs = [lowerdirOption([lower!]), `upperdir=${upper}`, `workdir=${work}`];
    const mount = { type: 'overlay', source: 'overlay', options: dirs };
    await using _ = await performMounts([mount], layers);
    const [erofs, overlay2, vfs] = await probeDrivers(layers);
    assert.equal(erofs?.driver, 'erofs');
    assert.match(erofs.refusal!, /overlay/);
    assert.notEqual(overlay2?.refusal, undefined);
    assert.equal(vfs?.refusal, undefined);
    assert.deepEqual(readdirSync(layers), []);
  },
);

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
          ['erofs', false],
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
