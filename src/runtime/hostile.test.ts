import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { json } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { unmount } from '../sys/mount/unmount.ts';
import { collect, makeContainer } from '../testing/container.ts';
import { needs } from '../testing/need.ts';
import { waitForExit } from './attach.ts';
import { kill } from './kill.ts';
import { readLog } from './log/read-log.ts';
import { isWatched, readState } from './state.ts';

const skip = needs('busybox', 'crun');
const sh = (script: string): { command: string[] } => ({ command: ['sh', '-c', script] });

/** In MiB: what is not shared with every other process of Node. 0 of one that has ended. */
const memoryOf = (pid: number): number => {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Private_Dirty:\s*(\d+)/m.exec(text)![1]) / 1024;
  } catch (error) {
    assert.match(String((error as NodeJS.ErrnoException).code), /^(?:ENOENT|ESRCH)$/);
    return 0;
  }
};

const parentOf = (pid: number): number =>
  Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);

test(
  'a flood waits for its slowest reader, in bounded memory, and arrives whole',
  { skip },
  async () => {
    const count = 1_000_000;
    await using box = await makeContainer({ options: { command: ['seq', String(count)] } });
    using started = await box.start({ log: { maxSize: 2 ** 20, maxFiles: 2 } });
    const monitor = parentOf(started.pid);
    // Nobody reads: what is on its way fills the sockets, and then everything rests.
    const written = (): string => {
      try {
        return readFileSync(join(box.directory, 'log.json'), 'utf8');
      } catch (error) {
        // While it makes room for a new one there is none.
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
        return '';
      }
    };
    for (let before = ''; written() !== before || before === '';) {
      before = written();
      await setTimeout(200);
    }
    assert.ok(existsSync(`/proc/${started.pid}/exe`));
    let [bytes, most, last] = [0, 0, ''];
    for await (const { data } of started.output) {
      bytes += data.length;
      last = (last + data.toString('latin1')).slice(-20);
      most = Math.max(most, memoryOf(monitor));
    }
    assert.equal(bytes, 6_888_896);
    assert.ok(last.endsWith(`${count}\n`));
    assert.ok(most > 0 && most < 100, `the monitor took ${most} MiB`);
  },
);

test('input that is not read is not kept, and who writes it waits', { skip }, async () => {
  await using box = await makeContainer({
    options: sh('while ! [ -e /go ]; do sleep 0.05; done; wc -c'),
  });
  using started = await box.start({ stdin: 'once' });
  const part = Buffer.alloc(64 * 1024, 'x');
  let accepted = 0;
  let writing = started.write(part);
  // Until one waits: then the pipe and the sockets are full.
  while ((await Promise.race([writing, setTimeout(300, 'waits')])) !== 'waits') {
    accepted += part.length;
    assert.ok(accepted < 2 ** 23, 'more was taken than sockets hold');
    writing = started.write(part);
  }
  writeFileSync(join(box.rootfs, 'go'), '');
  await writing;
  started.endInput();
  assert.equal((await collect(started)).stdout, `${accepted + part.length}\n`);
});

test(
  'a full disk ends neither the container nor the knowledge of how it ended',
  { skip },
  async () => {
    await using box = await makeContainer({
      options: sh('read x; seq 100000 >&2; echo end; exit 42'),
    });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=700', 'none', box.directory]);
    try {
      using started = await box.start({ durable: true, stdin: 'once' });
      const fill = join(box.directory, 'fill');
      assert.throws(() => {
        for (;;) appendFileSync(fill, Buffer.alloc(1024));
      }, /ENOSPC/);
      started.endInput();
      const ran = await collect(started);
      assert.equal(ran.stdout, 'end\n');
      assert.equal(ran.exitCode, 42);
      const state = await readState(box.directory);
      assert.ok(state.status === 'exited' && state.exitCode === 42, JSON.stringify(state));
      assert.ok(state.logLost! > 100_000);
    } finally {
      unmount(box.directory, { detach: true });
    }
  },
);

test(
  'who started it goes away, and it runs on, is logged, and its end is recorded',
  { skip },
  async () => {
    await using box = await makeContainer({
      options: sh('read x; echo $x; sleep 0.1; echo more; exit 6'),
    });
    const started = await box.start({ stdin: 'open' });
    await started.write(Buffer.from('hello\n'));
    started[Symbol.dispose]();
    assert.equal((await waitForExit(box.directory))?.exitCode, 6);
    const log = await Array.fromAsync(readLog(box.directory));
    assert.deepEqual(
      log.map(({ text }) => text),
      ['hello\n', 'more\n'],
    );
  },
);

test('a child that keeps the output open does not keep an exec from ending', { skip }, async () => {
  await using box = await makeContainer({ options: { command: ['sleep', '100'] } });
  using _ = await box.start();
  const exec = await box.exec({ command: ['sh', '-c', 'sleep 1000 & echo done; exit 2'] });
  const began = performance.now();
  assert.deepEqual(await collect(exec), { stdout: 'done\n', stderr: '', exitCode: 2 });
  assert.ok(performance.now() - began < 300_000);
});

test('what was asked for at the end happens after the end is written', { skip }, async () => {
  await using box = await makeContainer({ options: { command: ['true'] } });
  const proof = join(box.rootfs, 'proof');
  const state = join(box.directory, 'state.json');
  await box.run({ afterwards: { mark: state, command: ['cp', state, proof] } });
  while (!existsSync(proof) || readFileSync(proof, 'utf8') === '') await setTimeout(5);
  assert.match(readFileSync(proof, 'utf8'), /"status":"exited","exitCode":0/);
});

test('an image cannot make mounts go outside of it', { skip }, async () => {
  await using box = await makeContainer({
    options: {
      ...sh('cat /out/file; grep -c /out /proc/mounts'),
      binds: [{ source: '/etc/hostname', target: '/out/file', readonly: true }],
    },
  });
  const outside = join(dirname(box.rootfs), 'outside');
  for (const path of [outside, join(box.rootfs, outside)]) mkdirSync(path, { recursive: true });
  symlinkSync(`../../../../../..${outside}`, join(box.rootfs, 'out'));
  const { stdout } = await box.run();
  assert.deepEqual(readdirSync(outside), []);
  assert.deepEqual(readdirSync(join(box.rootfs, outside)), ['file']);
  assert.equal(stdout.split('\n')[0], readFileSync('/etc/hostname', 'utf8').trim());
});

test('memory that runs out is told apart from other violent ends', { skip }, async () => {
  const memory = { resources: { memory: 16 * 2 ** 20, memorySwap: 16 * 2 ** 20 } };
  await using box = await makeContainer({
    options: { command: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'], ...memory },
  });
  assert.equal((await box.run()).exitCode, 137);
  const state = await readState(box.directory);
  assert.ok(state.status === 'exited' && state.oomKilled);
  await using other = await makeContainer({ options: { command: ['sleep', '100'], ...memory } });
  using _ = await other.start();
  await kill(other.directory);
  assert.deepEqual(await waitForExit(other.directory).then((exit) => exit?.oomKilled), false);
});

for (const command of ['true', 'nothing'])
  test(`nothing is left of a container that ran ${command}`, { skip }, async () => {
    await using box = await makeContainer({ options: { command: [command] } });
    await box.run().catch(() => undefined);
    while (isWatched(box.directory)) await setTimeout(1);
    const left = ['.', ...readdirSync('/sys/fs/cgroup')].filter((name) =>
      existsSync(join('/sys/fs/cgroup', name, 'mica', box.id)),
    );
    assert.deepEqual(left, []);
    assert.deepEqual(
      readdirSync(box.directory)
        .filter((name) => name !== 'log.json')
        .sort(),
      ['config.json', 'etc', 'state.json'],
    );
  });

test(
  'with the network of the machine it is in its namespace, else in one with nothing but lo',
  { skip },
  async () => {
    const command = [
      'sh',
      '-c',
      'readlink /proc/self/ns/net 2>/dev/null || busybox readlink /proc/self/ns/net; ls /sys/class/net',
    ];
    await using own = await makeContainer({ options: { command } });
    const [namespace, ...names] = (await own.run()).stdout.trim().split('\n');
    assert.notEqual(namespace, readlinkSync('/proc/self/ns/net'));
    assert.deepEqual(names, ['lo']);
    await using host = await makeContainer({ options: { command, network: 'host' } });
    assert.equal((await host.run()).stdout.split('\n')[0], readlinkSync('/proc/self/ns/net'));
  },
);

/** Starts a container, and tells what its monitor and its first process have open. */
const INHERITING = `
const { makeContainer } = await import(${JSON.stringify(import.meta.resolve('../testing/container.ts'))});
const { readdirSync, readFileSync, readlinkSync } = await import('node:fs');
const open = (pid) =>
  readdirSync('/proc/' + pid + '/fd').flatMap((fd) => {
    // The directory that is being read is gone.
    try { return [[fd, readlinkSync('/proc/' + pid + '/fd/' + fd)]]; } catch { return []; }
  });
await using box = await makeContainer({ options: { command: ['sleep', '100'] } });
using started = await box.start();
const monitor = /^PPid:\\s*(\\d+)/m.exec(readFileSync('/proc/' + started.pid + '/status', 'utf8'))[1];
console.log(JSON.stringify({ own: open('self'), monitor: open(monitor), container: open(started.pid) }));`;

test(
  'what was left open by who starts a container reaches neither it nor its monitor',
  { skip },
  async () => {
    // Node itself closes the first few.
    const script = 'exec 200</etc/hostname; exec "$@"';
    const node = [process.execPath, '--input-type=module', '-e', INHERITING];
    const child = spawn('bash', ['-c', script, 'bash', ...node], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const open = (await json(child.stdout)) as Record<string, [string, string][]>;
    const has = (who: string): boolean => open[who]!.some(([, path]) => path === '/etc/hostname');
    assert.deepEqual([has('own'), has('monitor'), has('container')], [true, false, false]);
    assert.deepEqual(
      open['container']!.map(([fd]) => fd),
      ['0', '1', '2'],
    );
  },
);
