import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { lowerdirOption } from './mount-data.ts';
import { performMounts } from './mount.ts';
import { parseMountinfo, readMountinfo } from './mountinfo.ts';

test('octal escapes, optional fields and super options are read', () => {
  const text = String.raw`36 35 98:0 /mnt1 /a\040b\134c rw,noatime shared:1 master:2 - ext3 /dev/\043root rw,errors=continue
40 36 0:44 / /plain ro,relatime - overlay overlay ro,lowerdir=/x\072y:/z
`;
  const [first, second] = parseMountinfo(text);
  assert.deepEqual(first, {
    id: 36,
    parent: 35,
    device: '98:0',
    root: '/mnt1',
    target: String.raw`/a b\c`,
    options: ['rw', 'noatime'],
    type: 'ext3',
    source: '/dev/#root',
    superOptions: ['rw', 'errors=continue'],
  });
  assert.deepEqual(second?.superOptions, ['ro', 'lowerdir=/x:y:/z']);
});

test('lines that are no mounts are left out', () => {
  assert.deepEqual(parseMountinfo('\n36 35 98:0\n'), []);
});

test(
  'mounts of this process can be read, that of /proc among them',
  { skip: needs('linux') },
  () => {
    assert.ok(readMountinfo().some(({ target }) => target === '/proc'));
  },
);

test(
  'many mounts and one with a long line are read without harm',
  { skip: needs('overlay') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mountinfo-'));
    await using undo = new AsyncDisposableStack();
    // Lines of some 4,000 bytes, 80,000 in all, then one of more than 8,192.
    const deep = join(dir.path, ...Array.from({ length: 15 }, () => 'd'.repeat(250)));
    const targets = Array.from({ length: 20 }, (_, n) => join(deep, String(n)));
    for (const target of targets) {
      mkdirSync(target, { recursive: true });
      const mount = { type: 'bind', source: dir.path, options: ['bind'] };
      undo.use(await performMounts([mount], target));
    }
    const lowers = Array.from({ length: 50 }, (_, n) => join(dir.path, 'l'.repeat(200) + n));
    for (const lower of [...lowers, join(dir.path, 'merged')]) mkdirSync(lower);
    const overlay = { type: 'overlay', source: 'x', options: [lowerdirOption(lowers)] };
    undo.use(await performMounts([overlay], join(dir.path, 'merged')));
    const module = JSON.stringify(new URL('./mountinfo.ts', import.meta.url).href);
    const program = `
      const { readMountinfo } = await import(${module});
      for (let n = 0; n < 5; n++) console.log(readMountinfo().length);`;
    const { status, signal, stdout } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', program],
      { encoding: 'utf8' },
    );
    assert.deepEqual([status, signal], [0, null]);
    const [count] = stdout.split('\n');
    assert.equal(Number(count) >= targets.length + 1, true);
  },
);
