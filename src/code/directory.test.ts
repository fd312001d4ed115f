import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync, statSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtempDisposable, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { privateDirectory } from './directory.ts';

const temporary = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(realpathSync(tmpdir()), 'private-'));

/** Why nothing can be private in the temporary directory; `false`: it can. */
function foreign(): string | false {
  for (let path = realpathSync(tmpdir()); ; path = dirname(path)) {
    const { uid, mode } = statSync(path);
    if (![0, process.geteuid?.()].includes(uid)) return `${path} is another user's`;
    if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) return `others write in ${path}`;
    if (path === dirname(path)) return false;
  }
}

test(
  'a directory is made for this user alone, whatever the umask',
  { skip: foreign() },
  async () => {
    await using home = await temporary();
    const wanted = join(home.path, '.cache', 'kept');
    const before = process.umask(0);
    try {
      assert.equal(privateDirectory(wanted), wanted);
    } finally {
      process.umask(before);
    }
    assert.equal(statSync(wanted).mode & 0o777, 0o700);
    assert.equal(statSync(join(home.path, '.cache')).mode & 0o777, 0o700);
    assert.equal(privateDirectory(wanted), wanted);
  },
);

test('a link that this user made is followed', { skip: foreign() }, async () => {
  await using home = await temporary();
  await mkdir(join(home.path, 'elsewhere'));
  await symlink('elsewhere', join(home.path, '.cache'));
  assert.equal(
    privateDirectory(join(home.path, '.cache', 'kept')),
    join(home.path, 'elsewhere/kept'),
  );
});

for (const [title, at, mode] of [
  ['that its group writes in', 'a/kept', 0o770],
  ['that everybody writes in, with names protected or not', 'a/kept', 0o1777],
  ['below one that everybody writes in', 'a', 0o777],
] as const)
  test(`a directory ${title} is not private`, async () => {
    await using home = await temporary();
    await mkdir(join(home.path, 'a', 'kept'), { recursive: true });
    await chmod(join(home.path, at), mode);
    assert.equal(privateDirectory(join(home.path, 'a', 'kept')), undefined);
  });

for (const at of ['a', 'a/kept'])
  test(
    `a directory is not private when ${at} is another user's`,
    { skip: needs('root') },
    async () => {
      await using home = await temporary();
      await mkdir(join(home.path, 'a', 'kept'), { recursive: true });
      await chown(join(home.path, at), 65_534, 65_534);
      assert.equal(privateDirectory(join(home.path, 'a', 'kept')), undefined);
    },
  );

test('a user whose home others write in keeps nothing there', async () => {
  await using home = await temporary();
  await chmod(home.path, 0o777);
  for (const homedir of [home.path, '', 'relative', join(home.path, 'absent')]) {
    const source = `
      import os from 'node:os';
      import { syncBuiltinESMExports } from 'node:module';
      os.userInfo = () => ({ homedir: ${JSON.stringify(homedir)} });
      const { compiledDirectory } = await import(${JSON.stringify(join(import.meta.dirname, 'directory.ts'))});
      console.log(compiledDirectory());`;
    const words = ['--input-type=module', '-e', source];
    const text = execFileSync(process.execPath, words, { cwd: home.path, encoding: 'utf8' });
    assert.equal(text, 'undefined\n', homedir);
  }
  assert.equal(existsSync(join(home.path, 'relative')), false);
});
