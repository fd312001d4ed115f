import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../../src/testing/need.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { type Kit, openKit } from './kit.ts';

const skip = needs('overlay');

const storeOf = (kit: Kit): string[] => [
  '--root',
  join(kit.directory, 'overlay'),
  '--storage-driver',
  'overlay2',
];

test(
  'mount pulls an image that is not here, and says where it is on standard output',
  {
    skip,
  },
  async () => {
    await using kit = await openKit();
    await kit.origin.image('app', [tree({ a: file('1') })]);
    const store = storeOf(kit);
    const { code, stdout, stderr } = await kit.mica([...store, 'mount', 'REG/app']);
    assert.equal(code, 0, stderr);
    try {
      assert.match(stderr, /app:latest/);
      assert.deepEqual(await readdir(stdout.trim()), ['a']);
      const again = await kit.mica([...store, 'mount', '--pull', 'never', 'REG/app']);
      assert.deepEqual([again.code, again.stdout, again.stderr], [0, stdout, '']);
    } finally {
      await kit.ok([...store, 'umount', 'REG/app']);
    }
  },
);

test('mount asks the registry always or never when it is told to', { skip }, async () => {
  await using kit = await openKit();
  const store = storeOf(kit);
  await kit.origin.image('app', [tree({ a: file('1') })]);
  const refused = await kit.mica([...store, 'mount', '--pull', 'never', 'REG/app']);
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /no such image/);
  await kit.ok([...store, 'pull', 'REG/app']);
  await kit.origin.image('app', [tree({ b: file('2') })]);
  const target = join(kit.directory, 'overlay', 'run', 'views');
  for (const [when, expected] of [
    ['missing', 'a'],
    ['always', 'b'],
  ] as const) {
    const where = await kit.ok([...store, 'mount', '-q', '--pull', when, 'REG/app']);
    try {
      assert.ok(where.startsWith(target), where);
      assert.deepEqual(await readdir(where.trim()), [expected]);
    } finally {
      await kit.ok([...store, 'umount', '--all']);
    }
  }
  assert.equal((await kit.mica([...store, 'mount', '--pull', 'often', 'REG/app'])).code, 2);
});
