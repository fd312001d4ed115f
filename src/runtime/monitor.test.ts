import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { needs } from '../testing/need.ts';
import { startMonitor } from './monitor-process.ts';
import { spawnMonitor } from './spawn-monitor.ts';

/** Takes the commands of a runtime, says whose child it is, and fails once the file `go` is there. */
const WAITING = `#!/bin/sh
cd "$(dirname "$0")" && echo $PPID > said && mv said begun
while [ -e begun ] && [ ! -e go ]; do sleep 0.05; done
exit 1
`;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(10);
}

test(
  'a monitor whose client leaves while the runtime works takes its secrets away all the same',
  { skip: needs('linux'), timeout: 120_000 },
  async () => {
    await using top = await mkdtempDisposable(join(tmpdir(), 'mica-monitor-'));
    const [program, directory] = [join(top.path, 'runtime'), join(top.path, 'container')];
    writeFileSync(program, WAITING, { mode: 0o755 });
    mkdirSync(directory);
    const socket = spawnMonitor();
    const runtime = {
      program,
      flags: [],
      state: join(top.path, 'run/state'),
      logPrefix: '',
      refusesHybrid: false,
      leavesFilesOnly: false,
      searchPath: process.env['PATH'] ?? '',
    };
    const stdio = { tty: false, stdin: 'none', attach: true } as const;
    const answer = startMonitor(socket)
      .exec({ kind: 'exec', id: 'x', directory, runtime, process: '{}', ...stdio })
      .catch((error: unknown) => error);
    const begun = join(top.path, 'begun');
    await until(() => existsSync(begun));
    const monitor = readFileSync(begun, 'utf8').trim();
    socket.destroy();
    await answer;
    writeFileSync(join(top.path, 'go'), '');
    await until(() => !existsSync(`/proc/${monitor}`));
    assert.deepEqual(readdirSync(directory), []);
  },
);
