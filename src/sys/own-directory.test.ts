import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtempDisposable, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { makeOwnDirectory } from './own-directory.ts';

const temporary = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'own-'));

test('a directory is made for this user alone, and taken again', async () => {
  await using home = await temporary();
  const path = join(home.path, 'a', 'b');
  makeOwnDirectory(path);
  makeOwnDirectory(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
});

test('a directory that others write in is refused, as is a link to one of ours', async () => {
  await using home = await temporary();
  const [open, link] = [join(home.path, 'open'), join(home.path, 'link')];
  await mkdir(open);
  await symlink(home.path, link);
  for (const mode of [0o777, 0o720, 0o1777]) {
    await chmod(open, mode);
    assert.throws(() => makeOwnDirectory(open), { code: 'PERMISSION_DENIED' });
  }
  assert.throws(() => makeOwnDirectory(link), { code: 'PERMISSION_DENIED' });
});

test('a directory that another user made first is refused', { skip: needs('root') }, async () => {
  await using home = await temporary();
  const path = join(home.path, 'mica-run');
  await mkdir(path, { mode: 0o700 });
  await chown(path, 65_534, 65_534);
  assert.throws(() => makeOwnDirectory(path), { code: 'PERMISSION_DENIED' });
});
