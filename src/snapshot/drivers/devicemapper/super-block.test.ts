import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../../../errors.ts';
import { needs } from '../../../testing/need.ts';
import { makeFileSystem, resizeExt4 } from './file-system.ts';
import { readSuperBlock, setExt4Uuid } from './super-block.ts';

const MIB = 1 << 20;
const skip = needs('linux');

async function imageOf(directory: string, mib: number): Promise<string> {
  const path = join(directory, 'image');
  writeFileSync(path, '');
  truncateSync(path, mib * MIB);
  await makeFileSystem('ext4', path);
  return path;
}

/** What e2fsprogs says about a file system. */
const told = (path: string, field: string): string =>
  new RegExp(`^${field}: *(.*)$`, 'm').exec(
    execFileSync('dumpe2fs', ['-h', path], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  )![1]!;
const fsck = (path: string): unknown =>
  execFileSync('e2fsck', ['-f', '-n', path], { stdio: 'pipe' });

test('a new file system is empty, clean, and has what e2fsprogs says', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-ext4-'));
  const path = await imageOf(directory.path, 256);
  const { uuid, size, inodes, isClean } = readSuperBlock(path, 'ext4');
  assert.ok(isClean);
  assert.equal(uuid, told(path, 'Filesystem UUID').replaceAll('-', ''));
  const used = Number(told(path, 'Block count')) - Number(told(path, 'Free blocks'));
  assert.equal(size, used * 4096);
  assert.equal(inodes, Number(told(path, 'Inode count')) - Number(told(path, 'Free inodes')));
  const listed = execFileSync('debugfs', ['-R', 'ls -p /', path], { encoding: 'utf8' });
  assert.doesNotMatch(listed, /lost\+found/);
  // It may miss its lost+found, and nothing else.
  fsck(path);
});

test('a UUID is changed without harm', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-ext4-'));
  const path = await imageOf(directory.path, 64);
  const uuid = '00112233445566778899aabbccddeeff';
  setExt4Uuid(path, uuid);
  assert.equal(readSuperBlock(path, 'ext4').uuid, uuid);
  assert.equal(told(path, 'Filesystem UUID').replaceAll('-', ''), uuid);
  fsck(path);
});

test('a file system is made smaller and larger', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-ext4-'));
  const path = await imageOf(directory.path, 256);
  for (const mib of [96, 200]) {
    await resizeExt4(path, mib * MIB);
    assert.equal(Number(told(path, 'Block count')) * 4096, mib * MIB);
    assert.ok(readSuperBlock(path, 'ext4').isClean);
    fsck(path);
  }
});

test('one that failed, or has a journal to be replayed, is not clean', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-ext4-'));
  const path = await imageOf(directory.path, 64);
  for (const command of ['ssv state 3', 'ssv error_count 1', 'feature needs_recovery']) {
    execFileSync('debugfs', ['-w', '-R', command, path], { stdio: 'pipe' });
    assert.equal(readSuperBlock(path, 'ext4').isClean, false, command);
    const undo = command.replace('needs', '-needs').replace('state 3', 'state 1');
    execFileSync('debugfs', ['-w', '-R', undo.replace('count 1', 'count 0'), path], {
      stdio: 'pipe',
    });
    assert.ok(readSuperBlock(path, 'ext4').isClean, undo);
  }
});

test('what is no file system is refused', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-ext4-'));
  const path = join(directory.path, 'zeros');
  writeFileSync(path, Buffer.alloc(4096));
  for (const type of ['ext4', 'xfs'] as const)
    assert.throws(
      () => readSuperBlock(path, type),
      (error) => isCode(error, 'DATA_LOSS'),
    );
});
