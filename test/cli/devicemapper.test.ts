import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readState } from '../../src/snapshot/drivers/devicemapper/state.ts';
import { listDevices } from '../../src/sys/device-mapper.ts';
import { needs } from '../../src/testing/need.ts';
import { type ContainerKit, openContainerKit, skip as unable } from './container-kit.ts';

const skip = unable || needs('devicemapper');

describe('a store on a thin pool', () => {
  let box: ContainerKit & AsyncDisposable;
  before(async () => {
    if (skip === false) box = await openContainerKit('devicemapper');
  });
  after(() => box?.[Symbol.asyncDispose]());

  test('info tells of the pool, and warns of files', { skip }, async () => {
    const facts = await box.ok('info');
    assert.match(facts, /\n {2}Backing Filesystem: ext4\n/);
    assert.match(facts, /\n {2}WARNING: the thin pool is made of files on loop devices/);
    assert.match(facts, /\n {2}Pool Mode: rw\n/);
  });

  test('--storage-opt size bounds what a container writes', { skip }, async () => {
    const script = 'head -c 12000000 /dev/zero > /big || wc -c < /big; echo more > /data/one';
    const flags = ['--name', 'bounded', '--storage-opt', 'size=8m'];
    const { stdout, stderr } = await box.mica(['run', ...flags, 'box', 'sh', '-c', script]);
    // What busybox calls every error of a write.
    assert.match(stderr, /no space left|I\/O error/i);
    assert.ok(Number(stdout) > 4_000_000 && Number(stdout) <= 8_388_608, stdout);
    assert.equal(
      await box.ok(['inspect', '-f', '{{.GraphDriver.Name}}', 'bounded']),
      'devicemapper\n',
    );
    assert.equal(await box.ok('run --rm box wc -c /data/one'), '3 /data/one\n');
    await box.ok('rm bounded');
  });

  test(
    'a change is seen, committed, copied, read without a mount, and removed',
    { skip },
    async () => {
      await box.ok([
        'run',
        '--name',
        'work',
        'box',
        'sh',
        '-c',
        'echo new > /data/one; rm /data/two',
      ]);
      assert.equal(await box.ok('diff work'), 'C /data\nC /data/one\nD /data/two\n');
      await box.ok('commit work work:1');
      assert.equal(await box.ok('cat work:1 /data/one'), 'new\n');
      assert.equal(await box.ok('run --rm work:1 cat /data/one /data/three'), 'new\nthree');
      assert.equal((await box.mica('check')).code, 0);
      await box.ok('rm work');
      await box.ok('rmi work:1');
    },
  );

  test(
    'nothing serves when no container runs, and nothing is left without images',
    { skip },
    async () => {
      const { root } = box.kit;
      const { tag } = readState(join(root, 'devicemapper'))!;
      await box.ok('create --name idle box');
      await box.ok('rm idle');
      assert.deepEqual(
        listDevices().filter((name) => name.startsWith(`mica-${tag}-`)),
        [],
      );
      await box.ok('migrate --driver overlay2');
      assert.deepEqual(readdirSync(join(root, 'devicemapper')), []);
      const { code, stdout } = await box.mica(
        '--storage-driver overlay2 run --rm box cat /data/three',
      );
      assert.deepEqual([code, stdout], [0, 'three']);
      await box.ok('migrate --driver devicemapper');
      assert.equal(await box.ok('run --rm box cat /data/three'), 'three');
    },
  );
});
