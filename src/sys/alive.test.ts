import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, unlinkSync } from 'node:fs';
import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { holdLock, holdWhenFree, isHeld, tryLock } from './alive.ts';

const skip = needs('linux');
const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'alive-'));

test('a lock is held until it is given up, and leaves nothing behind', { skip }, async () => {
  await using dir = await scratch();
  const path = join(dir.path, 'lock');
  assert.equal(isHeld(path), false);
  {
    using _ = holdLock(path);
    assert.equal(isHeld(path), true);
    assert.equal(tryLock(path), undefined);
    assert.deepEqual(await readdir(dir.path), ['lock']);
  }
  assert.equal(isHeld(path), false);
  assert.deepEqual(await readdir(dir.path), []);
});

test('a killed process holds nothing any more, though its file remains', { skip }, async () => {
  await using dir = await scratch();
  const path = join(dir.path, 'lock');
  const program = `
    const { holdLock } = await import(${JSON.stringify(import.meta.resolve('./alive.ts'))});
    globalThis.lock = holdLock(${JSON.stringify(path)});
    process.stdout.write('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  assert.equal(isHeld(path), true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(existsSync(path), true);
  assert.equal(isHeld(path), false);
  using taken = tryLock(path);
  assert.equal(taken?.path, path);
});

test(
  'a lock on a file that was removed meanwhile is not taken for the lock',
  { skip },
  async () => {
    await using dir = await scratch();
    const path = join(dir.path, 'lock');
    using first = holdLock(path);
    unlinkSync(path);
    using second = tryLock(path);
    assert.notEqual(second, undefined);
    first[Symbol.dispose]();
    assert.equal(isHeld(path), true);
  },
);

test('who only asks whether a lock is held keeps nobody from taking it', { skip }, async () => {
  await using dir = await scratch();
  const path = join(dir.path, 'lock');
  // As isHeld has it, by a process that has no turn just then.
  const asking = spawn('flock', ['--shared', path, 'sh', '-c', 'echo asked; sleep 0.2'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(asking, 'exit');
  await once(asking.stdout, 'data');
  using taken = tryLock(path);
  assert.equal(taken?.path, path);
  await ended;
});

test('who waits for a lock gets it when it is given up', { skip }, async () => {
  await using dir = await scratch();
  const path = join(dir.path, 'lock');
  const first = holdLock(path);
  const waiting = holdWhenFree(path);
  first[Symbol.dispose]();
  using second = await waiting;
  assert.equal(second.path, path);
});

test('waiting for a lock can be aborted', { skip }, async () => {
  await using dir = await scratch();
  using _ = holdLock(join(dir.path, 'lock'));
  const stop = new AbortController();
  const waiting = holdWhenFree(join(dir.path, 'lock'), stop.signal);
  stop.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
});
