import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootId } from '../db/boot.ts';
import { holdWhenFree } from '../sys/alive.ts';
import { identify } from '../sys/process.ts';
import { needs } from '../testing/need.ts';
import { stop } from './kill.ts';
import { RUN_FILES, type RunRecord } from './state.ts';

/** A process, and a monitor that watches it and says nothing. */
async function watched(directory: string): Promise<AsyncDisposable> {
  await using all = new AsyncDisposableStack();
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  all.defer(() => void child.kill('SIGKILL'));
  all.use(await holdWhenFree(join(directory, RUN_FILES.lock)));
  const server = createServer((socket) => void socket.on('error', () => socket.destroy()).resume());
  await once(server.listen(join(directory, RUN_FILES.socket)), 'listening');
  all.defer(() => void server.close());
  const record: RunRecord = {
    status: 'running',
    boot: bootId(),
    process: identify(child.pid!)!,
    cgroups: { freezer: directory },
    startedAt: new Date().toISOString(),
  };
  writeFileSync(join(directory, RUN_FILES.state), JSON.stringify(record));
  return all.move();
}

test(
  'stop tells why what it stops cannot be killed, and does not wait for its end',
  {
    skip: needs('linux'),
  },
  async () => {
    await using home = await mkdtempDisposable(join(tmpdir(), 'kill-'));
    const freezer = join(home.path, 'freezer.state');
    writeFileSync(freezer, 'THAWED');
    await using _ = await watched(home.path);
    const stopped = stop(home.path, { grace: 1, signal: 0 });
    // After all that it does at once, and before any timer.
    await new Promise((resolve) => process.nextTick(resolve));
    rmSync(freezer);
    // Not what thaws it, and not to be written to.
    symlinkSync('/proc/version', freezer);
    await assert.rejects(stopped, /^MicaError: (write|open) .*kill-.*\((EIO|EACCES)\)/);
  },
);
