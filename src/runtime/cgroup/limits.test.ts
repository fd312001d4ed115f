import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { makeContainer } from '../../testing/container.ts';
import { needs } from '../../testing/need.ts';
import { waitForExit } from '../attach.ts';
import { kill, pause, unpause } from '../kill.ts';
import { readState } from '../state.ts';

const MIB = 1 << 20;
const TOP = '/sys/fs/cgroup';
const LIMITS = { memory: 64 * MIB, memorySwap: 96 * MIB, cpus: 0.5, cpuShares: 512, pidsLimit: 20 };

/** What the kernel keeps for {@link LIMITS}: of version 2, then of version 1 where a controller has a tree of its own. */
const KEPT: readonly (readonly [controller: string, file: string, value: RegExp])[] = [
  ['.', 'memory.max', /^67108864$/],
  ['.', 'memory.swap.max', /^33554432$/],
  ['.', 'cpu.max', /^50000 100000$/],
  ['.', 'cpu.weight', /^(?:20|59)$/],
  ['.', 'pids.max', /^20$/],
  ['memory', 'memory.limit_in_bytes', /^67108864$/],
  ['memory', 'memory.memsw.limit_in_bytes', /^100663296$/],
  ['cpu', 'cpu.cfs_quota_us', /^50000$/],
  ['cpu', 'cpu.shares', /^512$/],
  ['pids', 'pids.max', /^20$/],
];

for (const runtime of ['crun', 'runc'] as const) {
  const skip = needs('busybox', runtime);

  test(`${runtime}: the kernel keeps the limits that were asked for`, { skip }, async () => {
    await using box = await makeContainer({
      runtime,
      options: { command: ['sleep', '100'], resources: LIMITS },
    });
    using _ = await box.start();
    const found = KEPT.map(([controller, file, value]) => {
      const path = join(TOP, controller, 'mica', box.id, file);
      if (!existsSync(path)) return '';
      assert.match(readFileSync(path, 'latin1').trim(), value, path);
      return file;
    });
    for (const what of ['memory', 'cpu', 'pids'])
      assert.ok(
        found.some((file) => file.startsWith(what)),
        `${what}: ${found.join()}`,
      );
    await kill(box.directory);
  });

  test(
    `${runtime}: what is frozen does not run, goes on when it is thawed, and dies frozen`,
    { skip },
    async () => {
      await using box = await makeContainer({ runtime, options: { command: ['sleep', '100'] } });
      using _ = await box.start();
      const state = await readState(box.directory);
      assert.ok(state.status === 'running');
      const { freezer } = state.cgroups;
      await pause(box.directory);
      const [file, word] = existsSync(join(freezer!, 'cgroup.events'))
        ? ['cgroup.events', /^frozen 1$/m]
        : ['freezer.state', /^FROZEN$/m];
      assert.match(readFileSync(join(freezer!, file), 'latin1'), word);
      assert.equal((await readState(box.directory)).status, 'paused');
      await unpause(box.directory);
      assert.equal((await readState(box.directory)).status, 'running');
      await pause(box.directory);
      await kill(box.directory);
      assert.equal((await waitForExit(box.directory))?.exitCode, 137);
      assert.ok(!existsSync(freezer!), 'its group is left');
    },
  );

  test(
    `${runtime}: below a group with processes of its own it runs, and a limit that cannot be kept is refused`,
    { skip: skip || needs('cgroup2') },
    async () => {
      const group = join(TOP, `mica-nest-${process.pid}`);
      mkdirSync(group);
      try {
        // As a container that has the tree for itself: what it sees at the top is a group like others.
        const said = inside(group, programIn(runtime));
        assert.deepEqual(JSON.parse(said), [
          '0 ',
          '0 ',
          'FAILED_PRECONDITION',
          'FAILED_PRECONDITION',
        ]);
      } finally {
        for (const path of [join(group, 'mica'), group]) await removeGroup(path);
      }
    },
  );
}

/** Waits for monitors in it, which have done all that they had to and are just ending. */
async function removeGroup(path: string): Promise<void> {
  for (let tries = 0; existsSync(path); tries++)
    try {
      rmdirSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EBUSY' || tries === 1000) throw error;
      await setTimeout(10);
    }
}

/** Runs a program of this project within `group`. @returns what it says */
function inside(group: string, program: string): string {
  const script = `
    echo $$ > ${group}/cgroup.procs
    exec unshare --cgroup --mount sh -c '
      umount ${TOP} && mount -t cgroup2 cgroup2 ${TOP} && exec "$0" --input-type=module -e "$1"' "$0" "$1"`;
  return execFileSync('sh', ['-c', script, process.execPath, program], {
    encoding: 'utf8',
    timeout: 200_000,
  });
}

function programIn(runtime: string): string {
  const module = (path: string): string =>
    JSON.stringify(new URL(path + import.meta.url.slice(-3), import.meta.url).href);
  return `
    import { makeContainer } from ${module('../../testing/container')};
    const said = [];
    for (const resources of [{}, { pidsLimit: 20 }, { cpus: 0.5 }, { memory: 64 << 20 }]) {
      await using box = await makeContainer({ runtime: '${runtime}', options: { command: ['true'], resources } });
      said.push(await box.run().then(({ exitCode, stderr }) => exitCode + ' ' + stderr, ({ code, message }) => code === 'FAILED_PRECONDITION' ? code : message));
    }
    process.stdout.write(JSON.stringify(said));`;
}
