import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { holdLockByPid, isHeldByPid, tryLockByPid } from './pid-lock.ts';

const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-pid-lock-'));

test('a lock named by its holder is held until it is given up', async () => {
  await using dir = await scratch();
  for (const take of [holdLockByPid, tryLockByPid]) {
    const path = join(dir.path, 'lock');
    assert.equal(isHeldByPid(path), false);
    {
      using lock = take(path);
      assert.equal(lock?.path, path);
      assert.equal(isHeldByPid(path), true);
      assert.equal(tryLockByPid(path), undefined);
    }
    assert.equal(isHeldByPid(path), false);
    assert.deepEqual(readdirSync(dir.path), []);
  }
});

test('the lock of another process is held while that lives', async () => {
  await using dir = await scratch();
  const path = join(dir.path, 'lock');
  const program = `
    const { holdLockByPid } = await import(${JSON.stringify(import.meta.resolve('./pid-lock.ts'))});
    globalThis.lock = holdLockByPid(${JSON.stringify(path)});
    process.stdout.write('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  assert.equal(isHeldByPid(path), true);
  assert.equal(tryLockByPid(path), undefined);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(isHeldByPid(path), false);
  using taken = tryLockByPid(path);
  assert.equal(taken?.path, path);
});

test('a number that was used before this boot, or by a process that began otherwise, holds nothing', async () => {
  await using dir = await scratch();
  const path = join(dir.path, 'lock');
  writeFileSync(path, `${process.ppid}\nin another life`);
  assert.equal(isHeldByPid(path), false);
  writeFileSync(path, '');
  assert.equal(isHeldByPid(path), true);
  utimesSync(path, 1, 1);
  assert.equal(isHeldByPid(path), false);
});
