import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isCode } from '../../errors.ts';
import { zfsPool } from '../../testing/drivers/zfs-pool.ts';
import type { Environment } from '../../testing/drivers/suite.ts';
import { within } from '../../testing/mounted.ts';
import { needs } from '../../testing/need.ts';
import { parseDriverOptions } from './options.ts';
import { zfs } from './zfs.ts';
import { zfsRefusal } from './zfs/home.ts';

const skip = needs('zfs');

describe('stores on ZFS', () => {
  let environment: Environment;
  before(async () => {
    if (skip === false) environment = await zfsPool({ small: false });
  });
  after(() => environment?.[Symbol.asyncDispose]());

  let stores = 0;
  const newStore = async (): Promise<{ layers: string; fsname: string; work: string }> => {
    const root = join(environment.path, `own-${++stores}`);
    const [layers, work] = [join(root, 'layers'), join(root, 'work')];
    for (const path of [layers, work]) mkdirSync(path, { recursive: true });
    const [option] = await environment.options!(layers);
    return { layers, work, fsname: option!.slice('zfs.fsname='.length) };
  };
  const one = { id: '1', kind: 'active', parents: [] } as const;

  test(
    'two of them with the same dataset and the same ids have nothing in common',
    { skip },
    async () => {
      const { layers, fsname, work } = await newStore();
      const other = await newStore();
      for (const [path, text] of [
        [layers, 'a'],
        [other.layers, 'b'],
      ] as const) {
        const driver = zfs(path, { fsname });
        await driver.create(one);
        await within(await driver.mounts!(one), work, (root) =>
          writeFileSync(join(root, text), text),
        );
      }
      for (const [path, text] of [
        [layers, 'a'],
        [other.layers, 'b'],
      ] as const) {
        // The option is not needed any more.
        const driver = zfs(path);
        await within(await driver.mounts!(one), work, (root) =>
          assert.equal(readFileSync(join(root, text), 'utf8'), text),
        );
        await driver.remove(one);
        assert.deepEqual(await environment.held!(path), []);
      }
    },
  );

  test('a copy of one is refused, and so is another dataset than its own', { skip }, async () => {
    const { layers, fsname } = await newStore();
    await zfs(layers, { fsname }).create(one);
    const copy = join(environment.path, 'copy');
    cpSync(join(layers, '..'), copy, { recursive: true, verbatimSymlinks: true });
    const refused = (error: unknown): boolean => isCode(error, 'FAILED_PRECONDITION');
    assert.throws(() => zfs(join(copy, 'layers')), refused);
    assert.throws(() => zfs(layers, { fsname: `${fsname}/other` }), refused);
    await zfs(layers).remove(one);
  });

  test('what is in use elsewhere when its layer goes is destroyed later', { skip }, async () => {
    const { layers, fsname } = await newStore();
    const driver = zfs(layers, { fsname });
    await driver.create(one);
    await driver.seal!(one);
    const two = { id: '2', kind: 'active', parents: ['1'] } as const;
    await driver.create(two);
    // A clone stands on it.
    await driver.remove({ ...one, kind: 'committed' });
    assert.ok(!existsSync(join(layers, '1')));
    assert.deepEqual([...(await environment.held!(layers))].sort(), ['1', '2']);
    await driver.remove(two);
    await driver.purge!();
    assert.deepEqual(await environment.held!(layers), []);
  });

  test(
    'with its last layer a store gives up its own dataset, and makes it again',
    { skip },
    async () => {
      const { layers, fsname } = await newStore();
      const below = (): string[] =>
        execFileSync('zfs', ['list', '-H', '-r', '-o', 'name', fsname], { encoding: 'utf8' })
          .trim()
          .split('\n')
          .slice(1);
      const driver = zfs(layers, { fsname });
      await driver.purge!();
      await driver.create(one);
      await driver.purge!();
      const made = below();
      assert.equal(made.length, 2);
      await driver.remove(one);
      await driver.purge!();
      assert.deepEqual(below(), []);
      await driver.create(one);
      assert.deepEqual(below(), made);
      await driver.remove(one);
      const [home] = made;
      execFileSync('zfs', ['create', `${home}/of-somebody`]);
      await driver.purge!();
      assert.deepEqual(below(), [home, `${home}/of-somebody`]);
    },
  );

  test('a dataset that does not exist is refused with what to do', { skip }, async () => {
    const { layers } = await newStore();
    assert.match(
      (await zfsRefusal(layers, { fsname: 'no-such-pool/x' })) ?? '',
      /does not exist; `zpool import` shows/,
    );
    assert.match((await zfsRefusal('/proc', {})) ?? '', /zfs\.fsname=POOL\/NAME/);
  });

  test('a dataset that is mounted elsewhere already is shown once more', { skip }, async () => {
    const { layers, fsname, work } = await newStore();
    const driver = zfs(layers, { fsname });
    await driver.create(one);
    const [shared, bind] = await driver.mounts!(one);
    await within([shared!, bind!], work, async (root) => {
      writeFileSync(join(root, 'x'), 'x');
      const held = openSync(root, 'r');
      // Somebody has taken away the mount that is shared.
      execFileSync('umount', [shared!.target!]);
      const again = join(layers, '..', 'again');
      mkdirSync(again);
      await within([shared!, bind!], again, (path) =>
        assert.equal(readFileSync(join(path, 'x'), 'utf8'), 'x'),
      );
      closeSync(held);
    });
    await driver.remove(one);
    assert.deepEqual(await environment.held!(layers), []);
  });
});

test('names that are none of a dataset are refused', () => {
  for (const name of [
    '',
    '-o',
    '/pool',
    'pool/',
    'pool//x',
    'pool@now',
    'pool/../x#',
    'a'.repeat(300),
  ])
    assert.throws(
      () => parseDriverOptions([`zfs.fsname=${name}`]),
      (error) => isCode(error, 'INVALID_ARGUMENT'),
      name,
    );
  assert.equal(parseDriverOptions(['zfs.fsname=tank/data/mica-1']).zfs.fsname, 'tank/data/mica-1');
});
