import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { statat } from '../../sys/stat.ts';
import { needs } from '../../testing/need.ts';
import { DirectoryFds } from './directory-fds.ts';

const skip = needs('linux');
const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'fds-'));
const openFiles = (): number => readdirSync('/proc/self/fd').length;

test(
  'two directories asked for together are both open, however many there are',
  { skip },
  async () => {
    await using dir = await scratch();
    const inodes = Array.from({ length: 600 }, (_, i) => {
      const path = join(dir.path, `d${i}`);
      mkdirSync(path);
      return String(statSync(path).ino);
    });
    const before = openFiles();
    {
      using fds = new DirectoryFds(dir.path);
      for (let step = 0, random = 1; step < 20_000; step++) {
        random = (random * 48_271) % 2_147_483_647;
        const [a, b] = [random % 600, (random >> 10) % 600];
        const first = fds.both(`d${a}`, `d${b}`);
        const second = fds.fd(`d${b}`);
        assert.equal(statat(first, '').ino, inodes[a]);
        assert.equal(statat(second, '').ino, inodes[b]);
      }
      assert.ok(openFiles() - before < 300);
    }
    assert.equal(openFiles(), before);
  },
);

test('a directory that was forgotten is looked up anew, with what is in it', { skip }, async () => {
  await using dir = await scratch();
  const make = (): void => void mkdirSync(join(dir.path, 'a/b'), { recursive: true });
  make();
  using fds = new DirectoryFds(dir.path);
  const before = statat(fds.fd('a/b'), '').ino;
  mkdirSync(join(dir.path, 'other'));
  rmSync(join(dir.path, 'a'), { recursive: true });
  fds.forget('a');
  make();
  assert.equal(statat(fds.fd('a/b'), '').ino, String(statSync(join(dir.path, 'a/b')).ino));
  assert.notEqual(before, '');
});

test(
  'a symbolic link is never taken for a directory, in any place of a path',
  { skip },
  async () => {
    await using dir = await scratch();
    mkdirSync(join(dir.path, 'real/sub'), { recursive: true });
    symlinkSync('real', join(dir.path, 'link'));
    symlinkSync('sub', join(dir.path, 'real/link'));
    using fds = new DirectoryFds(dir.path);
    for (const path of ['link', 'link/sub', 'real/link'])
      assert.throws(() => fds.fd(path), { name: 'MicaError' });
    fds.fd('real');
    assert.throws(() => fds.fd('real/link'), { code: 'FAILED_PRECONDITION' });
  },
);
