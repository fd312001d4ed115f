import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
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
import { betterDrivers, chooseDriver, driversOnRequest, rememberedDriver } from './index.ts';

const withoutAufs = needs('aufs') === false ? 'the kernel has AUFS' : needs('root');

const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-choice-'));

test('a new store takes the best driver, and keeps it', { skip: needs('overlay') }, async () => {
  await using dir = await scratch();
  using db = await openDatabase(dir.path);
  assert.equal(rememberedDriver(db), undefined);
  const { driver, reason } = await chooseDriver(db);
  const isBest = inUserNamespace() || needs('erofs') !== false ? 'overlay2' : 'erofs';
  const form = isBest === 'erofs' ? 'tar' : inUserNamespace() ? 'userxattr' : 'overlay';
  assert.deepEqual([driver.name, driver.form], [isBest, form]);
  assert.deepEqual(
    (await betterDrivers(db, isBest)).map((one) => one.driver),
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
  for (const option of [
    'erofs.size=1',
    'directio=true',
    'erofs.directio',
    'erofs.directio=1',
    'fuse-overlayfs.uidmapping=0:1000',
    'fuse-overlayfs.gidmapping=a:b:c',
    'constructor=1',
  ])
    await assert.rejects(chooseDriver(db, { wanted: 'tar', options: [option] }), {
      code: 'INVALID_ARGUMENT',
      message: new RegExp(option),
    });
  const options = ['erofs.directio=true', 'fuse-overlayfs.uidmapping=0:1000:1:1:100000:65535'];
  await chooseDriver(db, { wanted: 'tar', options });
});

test(
  'where the kernel cannot mount EROFS, the next driver is taken and the reason told',
  { skip: needs('root', 'overlay', 'erofs') },
  async () => {
    await using dir = await scratch();
    using db = await openDatabase(join(dir.path, 'store'));
    const layers = join(db.root, 'layers');
    mkdirSync(layers);
    // An overlay carries no upper layer of another.
    const [lower, upper, work] = ['l', 'u', 'w'].map((name) => join(dir.path, name));
    for (const path of [lower, upper, work]) mkdirSync(path!);
    const dirs = [lowerdirOption([lower!]), `upperdir=${upper}`, `workdir=${work}`];
    const mount = { type: 'overlay', source: 'overlay', options: dirs };
    await using _ = await performMounts([mount], layers);
    assert.equal((await chooseDriver(db)).driver.name, 'vfs');
    const [erofs, overlay2, ...others] = await betterDrivers(db, 'vfs');
    assert.equal(erofs?.driver, 'erofs');
    assert.match(erofs.reason, /overlay/);
    assert.equal(overlay2?.driver, 'overlay2');
    assert.deepEqual(others, []);
    assert.deepEqual(readdirSync(layers), []);
  },
);

test('a driver that does not exist is refused, as is one that only another version has', async () => {
  await using dir = await scratch();
  using db = await openDatabase(dir.path);
  await assert.rejects(chooseDriver(db, { wanted: 'none' }), {
    code: 'INVALID_ARGUMENT',
    message: /overlay2, .*vfs, tar/,
  });
  setMeta(db, 'driver', 'later');
  setMeta(db, 'form', 'direct');
  await assert.rejects(chooseDriver(db), { code: 'FAILED_PRECONDITION' });
});

test(
  'where files cannot be given to others, each driver passed over has a reason',
  { skip: needs('root') },
  async () => {
    await using dir = await scratch();
    using db = await openDatabase(dir.path);
    mkdirSync(join(dir.path, 'layers'));
    const seteuid = process.seteuid!.bind(process);
    for (const path of [dir.path, join(dir.path, 'layers')]) chownSync(path, 1, 1);
    seteuid(1);
    try {
      const found = await betterDrivers(db, 'tar');
      const names = ['erofs', 'overlay2', ...(inUserNamespace() ? ['fuse-overlayfs'] : []), 'vfs'];
      assert.deepEqual(
        found.map(({ driver }) => driver),
        names,
      );
      for (const { reason } of found) assert.match(reason, /root/);
    } finally {
      seteuid(0);
    }
  },
);

test(
  'what a store could have instead is said with what gives it that',
  { skip: needs('overlay') },
  async () => {
    await using dir = await scratch();
    using db = await openDatabase(dir.path);
    await chooseDriver(db, { wanted: 'vfs' });
    const { reason } = (await betterDrivers(db, 'vfs')).find(
      ({ driver }) => driver === 'overlay2',
    )!;
    assert.match(reason, /works here; `mica migrate --driver overlay2`/);
  },
);

test('a driver that has to be asked for is neither tried nor taken by itself', async () => {
  await using dir = await scratch();
  using db = await openDatabase(dir.path);
  await chooseDriver(db);
  const onRequest = driversOnRequest();
  assert.ok(onRequest.includes('aufs'));
  assert.equal(onRequest.includes('fuse-overlayfs'), !inUserNamespace());
  const tried = await betterDrivers(db, 'tar');
  assert.deepEqual(
    tried.filter(({ driver }) => onRequest.includes(driver)),
    [],
  );
  assert.deepEqual(await betterDrivers(db, 'aufs'), []);
});

test(
  'where the kernel has no AUFS, who asks for it is told so',
  { skip: withoutAufs },
  async () => {
    await using dir = await scratch();
    using db = await openDatabase(dir.path);
    await assert.rejects(chooseDriver(db, { wanted: 'aufs' }), {
      code: 'FAILED_PRECONDITION',
      message: /kernel has no AUFS|only the root of the machine/,
    });
    assert.equal(rememberedDriver(db), undefined);
    assert.deepEqual(readdirSync(join(dir.path, 'layers')), []);
  },
);
