import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { needs } from '../need.ts';
import { sleepingReader } from './zfs-fuse-mounts.ts';

test(
  'a thread that waits in the kernel for a request to FUSE is found, and no other',
  { skip: needs('fuse-overlayfs') },
  async () => {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await mkdtempDisposable(join(tmpdir(), 'mica-reader-')));
    for (const name of ['lower', 'merged']) mkdirSync(join(path, name));
    // Idle it waits in read(2), as zfs-fuse only does when it hangs.
    const args = ['-f', '-o', `lowerdir=${path}/lower`, join(path, 'merged')];
    const server = spawn('fuse-overlayfs', args, { stdio: 'ignore' });
    stack.defer(async () => {
      const ended = once(server, 'exit');
      execFileSync('umount', ['--lazy', join(path, 'merged')]);
      await ended;
    });
    const until = performance.now() + 60_000;
    while (sleepingReader(server.pid!) === undefined) {
      assert.ok(performance.now() < until, 'it was never seen to wait');
      await setTimeout(20);
    }
    assert.equal(sleepingReader(process.pid), undefined);
    assert.equal(sleepingReader(2 ** 22), undefined);
  },
);
