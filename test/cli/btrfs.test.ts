import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needs } from '../../src/testing/need.ts';
import { type ContainerKit, openContainerKit, skip as unable } from './container-kit.ts';

const skip = unable || needs('btrfs');

describe('a store on btrfs', () => {
  let box: ContainerKit & AsyncDisposable;
  before(async () => {
    if (skip === false) box = await openContainerKit('btrfs');
  });
  after(() => box?.[Symbol.asyncDispose]());

  test(
    '--storage-opt size bounds what a container writes, and inspect tells it',
    { skip },
    async () => {
      const script = 'head -c 12000000 /dev/zero > /big || wc -c < /big; echo more > /data/one';
      const flags = ['--name', 'bounded', '--storage-opt', 'size=8m'];
      const { stdout, stderr } = await box.mica(['run', ...flags, 'box', 'sh', '-c', script]);
      assert.match(stderr, /quota exceeded/i);
      assert.ok(Number(stdout) > 4_000_000 && Number(stdout) <= 8_388_608, stdout);
      const format = '{{.HostConfig.StorageOpt.size}} {{.GraphDriver.Name}}';
      assert.equal(await box.ok(['inspect', '-f', format, 'bounded']), '8388608 btrfs\n');
      assert.match(await box.ok('info'), /\n {2}Backing Filesystem: btrfs\n {2}Quotas: full\n/);
      assert.equal(await box.ok('run --rm box wc -c /data/one'), '3 /data/one\n');
      await box.ok('rm bounded');
    },
  );

  test('a size of 0 is no limit', { skip }, async () => {
    const flags = ['--rm', '--storage-opt', 'size=0', 'box'];
    assert.equal(await box.ok(['run', ...flags, 'sh', '-c', 'echo a > /new; cat /new']), 'a\n');
  });

  test('a size that is none, and an option that is not there, are refused', { skip }, async () => {
    for (const option of ['size=much', 'size', 'inodes=5']) {
      const { code, stderr } = await box.mica(['create', '--storage-opt', option, 'box']);
      assert.equal(code, 2, stderr);
    }
    assert.equal(await box.ok('ps -aq'), '');
  });

  test(
    'df counts for a container what it has written, not what its image has',
    { skip },
    async () => {
      const write = 'head -c 3000000 /dev/zero > /big; sync';
      await box.ok(['run', '--name', 'writer', 'box', 'sh', '-c', write]);
      await box.ok('create --name idle box');
      const usage = JSON.parse(await box.ok('df --json')) as {
        readonly containers: readonly { readonly name: string; readonly bytes: number }[];
        readonly layers: readonly { readonly bytes: number }[];
      };
      const bytes = new Map(usage.containers.map((container) => [container.name, container.bytes]));
      assert.ok(bytes.get('writer')! >= 3_000_000 && bytes.get('writer')! < 3_200_000);
      assert.ok(bytes.get('idle')! < 100_000, JSON.stringify(usage));
      // The second layer stands on the first, and adds one file.
      const [large, small] = usage.layers.map((layer) => layer.bytes).sort((a, b) => b - a);
      assert.ok(large! > 1_000_000 && small! < 50_000, JSON.stringify(usage.layers));
      await box.ok('rm writer idle');
    },
  );
});
