import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { needs } from '../../src/testing/need.ts';
import { type ContainerKit, openContainerKit, skip as unable } from './container-kit.ts';

const skip = unable || needs('zfs');

describe('a store on ZFS', () => {
  let box: ContainerKit & AsyncDisposable;
  before(async () => {
    if (skip === false) box = await openContainerKit('zfs');
  });
  after(() => box?.[Symbol.asyncDispose]());

  test('what was changed in a file whose other name was removed is seen', { skip }, async () => {
    // `zfs diff` leaves it out: it looks for the name that the file was given last.
    const link = 'mkdir /x /y; echo one > /x/f; ln /x/f /y/g; rm /y/g';
    await box.ok(['run', '--name', 'linked', 'box', 'sh', '-c', link]);
    await box.ok('commit linked linked:1');
    await box.ok(['run', '--name', 'changed', 'linked:1', 'sh', '-c', 'echo two > /x/f']);
    assert.equal(await box.ok('diff changed'), 'C /x\nC /x/f\n');
    await box.ok('commit changed changed:1');
    assert.equal(await box.ok('cat changed:1 /x/f'), 'two\n');
    await box.clear();
  });

  test(
    'what was removed while the pool is not there goes when it is back, and keeps nobody out meanwhile',
    { skip },
    async () => {
      const { dataset } = JSON.parse(readFileSync(join(box.kit.root, 'zfs.json'), 'utf8')) as {
        dataset: string;
      };
      const [pool = ''] = dataset.split('/');
      const datasets = (): number =>
        execFileSync('zfs', ['list', '-H', '-r', '-o', 'name', dataset], { encoding: 'utf8' })
          .trim()
          .split('\n').length;
      const others = datasets();
      await box.ok('create --name doomed box true');
      const directory = dirname(fileOf(pool));
      await takeAway(pool);
      try {
        const { stderr, code } = await box.mica('rm doomed');
        assert.notEqual(code, 0, stderr);
        assert.match(stderr, /pool .* is not there/);
        await box.ok('tag box box:again');
        assert.match(await box.ok('info'), /\n {2}1 of zfs to be removed: pool .* is not there/);
        assert.match(await box.ok('df'), /a layer of zfs being removed, or waiting for it/);
        const checked = await box.mica('check');
        assert.match(checked.stdout, /removal zfs: a removed layer waits .*pool .* is not there/);
      } finally {
        execFileSync('zpool', ['import', '-d', directory, '-o', 'cachefile=none', pool]);
      }
      assert.ok(!(await box.ok('info')).includes('to be removed'));
      assert.equal(datasets(), others);
      await box.clear();
    },
  );

  test(
    'df and info say that the pool is not there, and count again when it is',
    { skip },
    async () => {
      const { dataset } = JSON.parse(readFileSync(join(box.kit.root, 'zfs.json'), 'utf8')) as {
        dataset: string;
      };
      const [pool = ''] = dataset.split('/');
      const missing = `pool ${pool} is not there`;
      const facts = async (): Promise<string> => `${await box.ok('info')}${await box.ok('df')}`;
      const sizes = async (): Promise<number[]> => {
        const { layers } = JSON.parse(await box.ok('df --json')) as { layers: { bytes: number }[] };
        return layers.map(({ bytes }) => bytes);
      };
      const counted = await sizes();
      const text = await facts();
      assert.match(text, new RegExp(`\\n {2}Parent Dataset: ${dataset}\\n`));
      assert.match(text, /\n {2}Space Available: /);
      assert.ok(!text.includes('out of reach'));

      const directory = dirname(fileOf(pool));
      await takeAway(pool);
      try {
        const without = await facts();
        assert.match(without, new RegExp(`\\n {2}Out of Reach: ${missing}`));
        assert.match(without, new RegExp(`\\? +\\d+ layers out of reach: ${missing}`));
        assert.ok((await sizes()).every((bytes, n) => bytes < counted[n]!));
        const { stderr, code } = await box.mica('run --rm box true');
        assert.equal(code, 125, stderr);
        assert.match(stderr, /zpool import/);
      } finally {
        execFileSync('zpool', ['import', '-d', directory, '-o', 'cachefile=none', pool]);
      }
      // What a dataset takes may still be changing by a block or two.
      assert.ok((await sizes()).every((bytes, n) => bytes > counted[n]! * 0.9));
      assert.equal(await box.ok('run --rm box echo back'), 'back\n');
    },
  );
});

/** What is being unmounted keeps it busy for a moment. */
async function takeAway(pool: string): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      return void execFileSync('zpool', ['export', pool], { stdio: 'pipe' });
    } catch (error) {
      if (attempt === 200) throw error;
      await setTimeout(50);
    }
}

/** What a pool lies on; names in /dev are told without that. */
function fileOf(pool: string): string {
  const status = execFileSync('zpool', ['status', pool], { encoding: 'utf8' });
  const [, file] = /^\s+(\S*mica-image-\S*)/m.exec(status) ?? [];
  assert.ok(file, status);
  return resolve('/dev', file);
}
