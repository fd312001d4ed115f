import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { VERBS } from '../../src/cli/verbs.ts';
import { needs } from '../../src/testing/need.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { openKit } from './kit.ts';

const LAYERS = [tree({ a: file('1') }), tree({ b: file('2') }), tree({ c: file('3') })];

test('an image that is here is not up to date for a platform that it is not for', async () => {
  await using kit = await openKit();
  await kit.origin.image('app', LAYERS);
  await kit.ok('pull REG/app');
  const { code, stderr } = await kit.mica(['pull', '--platform', 'linux/s390x', 'REG/app']);
  assert.equal(code, 3);
  assert.match(stderr, /not for linux\/s390x/);
});

test('umount takes IMAGE@N as mount does', { skip: needs('overlay') }, async () => {
  await using kit = await openKit();
  await kit.origin.image('app', LAYERS);
  const store = ['--root', join(kit.directory, 'overlay'), '--storage-driver', 'overlay2'];
  await kit.ok([...store, 'pull', 'REG/app']);
  const whole = await kit.ok([...store, 'mount', 'REG/app']);
  const two = await kit.ok([...store, 'mount', 'REG/app@2']);
  try {
    assert.equal(await kit.ok([...store, 'umount', 'REG/app@2']), two);
    assert.equal((await kit.mica([...store, 'umount', 'REG/app@2'])).code, 3);
  } finally {
    assert.equal(await kit.ok([...store, 'umount', 'REG/app']), whole);
  }
});

test('an empty format is no format', async () => {
  await using kit = await openKit();
  await kit.origin.image('app', LAYERS);
  await kit.ok('pull REG/app');
  const all = await kit.ok(['image', 'inspect', '-f', '', 'REG/app']);
  assert.equal((JSON.parse(all) as object[]).length, 1);
});

test('a storage driver that does not exist is refused by commands that would not need it', async () => {
  await using kit = await openKit();
  await kit.origin.image('app', LAYERS);
  await kit.ok('pull REG/app');
  for (const line of ['images', 'pull REG/app']) {
    const { code, stderr } = await kit.mica(['--storage-driver', 'ext4', ...line.split(' ')]);
    assert.equal(code, 2, line);
    assert.match(stderr, /no storage driver ext4; there are erofs, overlay2, /);
  }
});

test('nobody is told to close a directory that is no store', async () => {
  await using kit = await openKit();
  const shared = join(kit.directory, 'shared');
  await mkdir(shared, { mode: 0o755 });
  await writeFile(join(shared, 'hosts'), '');
  const { code, stderr } = await kit.mica(['--root', shared, 'images']);
  assert.equal(code, 8);
  assert.match(stderr, /is not a store/);
  assert.doesNotMatch(stderr, /chmod/);
});

test('a configuration file that is not there is named once, without a stack of errors', async () => {
  await using kit = await openKit();
  const path = join(kit.directory, 'missing.json');
  const { code, stderr } = await kit.mica(['--config', path, 'images']);
  assert.equal(code, 2);
  assert.equal(
    stderr,
    `mica: configuration file: open ${path}: no such file or directory (ENOENT)\n`,
  );
});

test('help does not show that lists are empty by default', async () => {
  await using kit = await openKit();
  const help = await kit.ok('run --help');
  assert.match(help, /default: "missing"/);
  assert.doesNotMatch(help, /default:\s*\[\]/);
});

test('the help of every command has examples', async () => {
  await using kit = await openKit();
  for (const { name } of VERBS.filter(({ hidden }) => hidden !== true)) {
    const help = await kit.ok([...name.split(' '), '--help']);
    assert.match(help, /^Examples:$/m, name);
  }
});
