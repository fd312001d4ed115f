import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { collect, makeContainer } from '../testing/container.ts';
import { needs } from '../testing/need.ts';
import { attach, waitForExit } from './attach.ts';
import { StartError } from './failure.ts';
import { kill, pause, stop, unpause } from './kill.ts';
import { processesOf } from './processes.ts';
import { readState } from './state.ts';

const sh = (script: string): { command: string[] } => ({ command: ['sh', '-c', script] });

for (const runtime of ['crun', 'runc'] as const)
  describe(`with ${runtime}`, () => {
    const skip = needs('busybox', runtime);

    test(
      'a container runs to its end, and both streams and its exit code arrive',
      { skip },
      async () => {
        await using box = await makeContainer({
          runtime,
          options: sh('echo out; echo err >&2; cat /etc/hostname; exit 7'),
        });
        assert.deepEqual(await box.run(), { stdout: 'out\nbox\n', stderr: 'err\n', exitCode: 7 });
        const state = await readState(box.directory);
        assert.equal(state.status === 'exited' && state.exitCode, 7);
        const log = readFileSync(join(box.directory, 'log.json'), 'utf8').trim().split('\n');
        const said = log.map((line) => JSON.parse(line) as { log: string; stream: string });
        assert.deepEqual(said.map(({ log: text, stream }) => `${stream}: ${text}`).sort(), [
          'stderr: err\n',
          'stdout: box\n',
          'stdout: out\n',
        ]);
      },
    );

    for (const [what, command, exitCode] of [
      ['a command that does not exist', 'nothing', 127],
      ['a path that does not exist', '/no/thing', 127],
      ['a directory', '/bin', 126],
      ['a file that is not executable', '/etc/hostname', 126],
    ] as const)
      test(`${what} cannot be started: ${exitCode}`, { skip }, async () => {
        await using box = await makeContainer({ runtime, options: { command: [command] } });
        await assert.rejects(box.run(), (error: unknown) => {
          assert.ok(error instanceof StartError);
          assert.equal(error.exitCode, exitCode, error.message);
          return true;
        });
        const state = await readState(box.directory);
        assert.equal(state.status === 'exited' && state.exitCode, exitCode);
      });

    test('a container that failed to start can be started again', { skip }, async () => {
      await using box = await makeContainer({ runtime, options: sh('exec cat /wanted') });
      assert.equal((await box.run()).exitCode, 1);
      assert.equal((await box.run()).exitCode, 1);
    });

    test('input reaches the container, and its end ends it', { skip }, async () => {
      await using box = await makeContainer({ runtime, options: { command: ['cat'] } });
      using started = await box.start({ stdin: 'once' });
      await started.write(Buffer.from('hello\n'));
      started.endInput();
      assert.equal((await collect(started)).stdout, 'hello\n');
    });

    test(
      'a terminal has its size from the start, changes it, and is controlled',
      { skip },
      async () => {
        await using box = await makeContainer({
          runtime,
          options: { ...sh('stty size; read line; stty size; tty; exit 3'), tty: true },
        });
        using started = await box.start({ stdin: 'open', size: { rows: 33, columns: 77 } });
        let [text, isChanged] = ['', false];
        for await (const { data } of started.output) {
          text += data.toString();
          // A terminal gives the end of a line apart, at times.
          if (!text.includes('33 77') || isChanged) continue;
          isChanged = true;
          started.resize(44, 88);
          await started.write(Buffer.from('go\n'));
        }
        assert.equal(text.replaceAll('\r', ''), '33 77\ngo\n44 88\n/dev/pts/0\n');
        assert.equal((await started.exit).exitCode, 3);
      },
    );

    test(
      'a second process runs beside the first, with its own user, directory and code',
      { skip },
      async () => {
        await using box = await makeContainer({
          runtime,
          image: { Env: ['A=1', 'B=1'] },
          options: { command: ['sleep', '100'], env: ['B=2'] },
          files: {
            'etc/passwd': 'root:x:0:0::/root:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\n',
          },
        });
        using first = await box.start();
        const script = 'id -u; pwd; echo $A$B$C; echo $HOME; kill -0 1; exit 5';
        const exec = { command: ['sh', '-c', script], user: 'joe', workdir: '/bin', env: ['C=3'] };
        const ran = await collect(await box.exec(exec));
        assert.equal(ran.stdout, '1000\n/bin\n123\n/home/joe\n');
        assert.equal(ran.exitCode, 5);
        await kill(box.directory);
        assert.equal((await collect(first)).exitCode, 137);
      },
    );

    test('a second process has a terminal, and input', { skip }, async () => {
      await using box = await makeContainer({ runtime, options: { command: ['sleep', '100'] } });
      using _ = await box.start();
      using shell = await box.exec({ command: ['sh'], tty: true }, { stdin: 'once' });
      await shell.write(Buffer.from('tty; exit 9\n'));
      const ran = await collect(shell);
      assert.match(ran.stdout, /\/dev\/pts\/\d/);
      assert.equal(ran.exitCode, 9);
    });

    test('exec tells what cannot be started', { skip }, async () => {
      await using box = await makeContainer({ runtime, options: { command: ['sleep', '100'] } });
      using _ = await box.start();
      for (const [command, exitCode] of [
        ['nothing', 127],
        ['/bin', 126],
      ] as const)
        await assert.rejects(box.exec({ command: [command] }), { name: 'StartError', exitCode });
    });

    test('what ignores SIGTERM is killed when its time is over', { skip }, async () => {
      await using box = await makeContainer({
        runtime,
        options: sh('trap "" TERM; echo ready; while true; do sleep 0.05; done'),
      });
      using started = await box.start();
      const { value } = await started.output[Symbol.asyncIterator]().next();
      assert.equal(value.data.toString(), 'ready\n');
      const began = performance.now();
      assert.equal((await stop(box.directory, { grace: 600 }))?.exitCode, 137);
      // Timers count from the begin of a turn of the loop, which may have been a while ago.
      assert.ok(performance.now() - began >= 300);
    });

    test('what may take longer than a timer can wait is not killed', { skip }, async () => {
      await using box = await makeContainer({
        runtime,
        options: sh('trap "sleep 0.5; exit 3" TERM; echo ready; while true; do sleep 0.05; done'),
      });
      using started = await box.start();
      await started.output[Symbol.asyncIterator]().next();
      assert.equal((await stop(box.directory, { grace: 30 * 86_400_000 }))?.exitCode, 3);
    });

    test('a paused container does nothing, goes on, and can be killed', { skip }, async () => {
      await using box = await makeContainer({
        runtime,
        options: sh('while read x; do echo $x; done'),
      });
      using started = await box.start({ stdin: 'open' });
      const output = started.output[Symbol.asyncIterator]();
      await pause(box.directory);
      assert.equal((await readState(box.directory)).status, 'paused');
      await assert.rejects(pause(box.directory), { code: 'FAILED_PRECONDITION' });
      await started.write(Buffer.from('late\n'));
      const next = output.next();
      const first = await Promise.race([
        next,
        new Promise((done) => setTimeout(done, 150, 'silence')),
      ]);
      assert.equal(first, 'silence');
      await unpause(box.directory);
      assert.equal((await next).value.data.toString(), 'late\n');
      await pause(box.directory);
      await kill(box.directory);
      assert.equal((await waitForExit(box.directory))?.exitCode, 137);
    });

    test('what somebody pauses while it is stopped ends in time', { skip }, async () => {
      await using box = await makeContainer({
        runtime,
        options: sh('trap "" TERM; echo ready; while :; do sleep 1; done'),
      });
      using started = await box.start();
      await started.output[Symbol.asyncIterator]().next();
      const stopped = stop(box.directory, { grace: 1000 });
      // Late on a busy machine, it has ended before.
      await pause(box.directory).catch(() => undefined);
      assert.equal((await stopped)?.exitCode, 137);
    });

    test('whoever comes later sees what comes then, and the end', { skip }, async () => {
      await using box = await makeContainer({ runtime, options: sh('read x; echo $x; exit 4') });
      using first = await box.start({ stdin: 'open', attach: false });
      using second = await attach(box.directory);
      using third = await attach(box.directory, { output: false });
      await third.write(Buffer.from('hi\n'));
      let text = '';
      for await (const { data } of second.output) text += data.toString();
      assert.equal(text, 'hi\n');
      assert.equal((await second.exit).exitCode, 4);
      for await (const _ of first.output) assert.fail('output for who wants none');
      assert.equal((await first.exit).exitCode, 4);
      assert.equal((await waitForExit(box.directory))?.exitCode, 4);
      await assert.rejects(attach(box.directory), { code: 'FAILED_PRECONDITION' });
    });

    test('who hears of the end of a container can start it again', { skip }, async () => {
      await using box = await makeContainer({ runtime, options: sh('exit 3') });
      for (let i = 0; i < 3; i++) assert.equal((await box.run()).exitCode, 3);
    });

    test('a container that cannot be logged does not start', { skip }, async () => {
      await using box = await makeContainer({ runtime, options: { command: ['true'] } });
      mkdirSync(join(box.directory, 'log.json'));
      await assert.rejects(box.run(), { code: 'FAILED_PRECONDITION' });
      assert.equal((await readState(box.directory)).status, 'created');
    });

    test('a container runs once at a time', { skip }, async () => {
      await using box = await makeContainer({ runtime, options: { command: ['sleep', '100'] } });
      using _ = await box.start();
      await assert.rejects(box.start(), { code: 'CONFLICT' });
      assert.equal((await readState(box.directory)).status, 'running');
    });

    test('processes that lost their parent end with the container', { skip }, async () => {
      await using box = await makeContainer({
        runtime,
        options: sh('(sleep 1000 & sleep 1000 &) ; echo ready; read x'),
      });
      using started = await box.start({ stdin: 'open' });
      await started.output[Symbol.asyncIterator]().next();
      const all = processesOf(started.pid);
      assert.equal(all.length, 3);
      assert.match(all[0]!.command, /^sh -c /);
      await stop(box.directory, { signal: 9 });
      for (const { pid } of all) assert.ok(!existsSync(`/proc/${pid}/exe`), `process ${pid}`);
    });

    test(
      'a container whose monitor was killed is dead, killable, and can be started again',
      { skip },
      async () => {
        await using box = await makeContainer({ runtime, options: { command: ['sleep', '100'] } });
        using started = await box.start();
        const monitor = Number(
          /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${started.pid}/status`, 'utf8'))![1],
        );
        assert.match(readFileSync(`/proc/${monitor}/cmdline`, 'utf8'), /monitor\.ts/);
        process.kill(monitor, 'SIGKILL');
        await assert.rejects(collect(started), { code: 'UNAVAILABLE' });
        // A process that dies closes what it has open one after the other, its lock later than this.
        assert.equal(await waitForExit(box.directory), undefined);
        const state = await readState(box.directory);
        assert.equal(state.status === 'dead' && state.running?.process.pid, started.pid);
        await kill(box.directory);
        using again = await box.start();
        assert.notEqual(again.pid, started.pid);
        assert.equal((await readState(box.directory)).status, 'running');
      },
    );
  });
