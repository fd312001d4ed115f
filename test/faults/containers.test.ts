import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { tryLock } from '../../src/sys/alive.ts';
import { type ContainerKit, openContainerKit, skip } from '../cli/container-kit.ts';
import { mountsBelow } from '../support/store.ts';

/** State, number of the parent, …: what comes after the command. */
const statOf = (pid: number): string[] => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
};

const hasEnded = (pid: number): boolean => {
  try {
    return /^[ZX]$/.test(statOf(pid)[0]!);
  } catch {
    return true;
  }
};

/** Command lines that are killed: what they had begun is finished or undone, and nothing stays mounted. */
describe('a killed command line', { skip }, () => {
  let box: ContainerKit & AsyncDisposable;
  before(async () => {
    box = await openContainerKit();
  });
  after(() => box[Symbol.asyncDispose]());

  const main = join(import.meta.dirname, '../../src/cli/main.ts');
  const start = (...words: string[]): ChildProcess =>
    spawn(process.execPath, [main, '--root', box.kit.root, ...words], { stdio: 'ignore' });
  const directory = (): string => join(box.kit.root, 'containers');
  const left = (): string[] => [
    ...(existsSync(directory()) ? readdirSync(directory()) : []),
    ...mountsBelow(directory()),
  ];
  const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
    for (let tries = 0; !(await holds()); tries++) {
      assert.ok(tries < 2000, 'it did not come to that');
      await setTimeout(25);
    }
  };

  test('leaves a container that runs on, and is removed at its end as --rm says', async () => {
    const child = start('run', '--rm', '--name', 'orphan', 'box', 'sleep', '1000');
    await until(async () => (await box.ok('ps')).includes('orphan'));
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.match(await box.ok('ps'), /orphan/);
    // Its monitor may still be starting it.
    await until(async () => (await box.mica('kill orphan')).code === 0);
    await until(() => left().length === 0);
    assert.equal(await box.ok('ps -aq'), '');
  });

  test('leaves nothing that gc does not clean up, whenever it is killed', async () => {
    for (let delay = 150; delay <= 900; delay += 75) {
      const child = start('run', '--rm', '--name', `k${delay}`, 'box', 'true');
      await Promise.race([setTimeout(delay), once(child, 'exit')]);
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    // What still runs ends, and what watches it does its part.
    await until(async () => (await box.ok('ps -q')) === '');
    await until(async () => {
      await box.ok('gc');
      const created = await box.ok(['ps', '-aq', '--filter', 'status=created']);
      // Created and never started: it is there, for whoever wants to start it. It is started and goes, if
      // who watches it has not begun yet.
      if (created !== '') await box.mica(['rm', ...created.trim().split('\n')]);
      return left().length === 0;
    });
    assert.equal((await box.mica('check')).code, 0);
  });

  test('and a power loss that leaves but the row of a container with --rm: gc removes it', async () => {
    const id = (await box.ok('create --rm --name gone box true')).trim();
    rmSync(join(box.kit.root, 'containers', id), { recursive: true });
    await box.ok('gc');
    assert.equal(await box.ok('ps -aq'), '');
    assert.equal((await box.mica('check')).code, 0);
  });

  test('a container that somebody removes while others clean up is no failure of theirs', async () => {
    const id = (await box.ok('create --name going box true')).trim();
    const path = join(directory(), id);
    // Who cleans up would unmount its tree, and waits for who removes it.
    writeFileSync(join(path, 'unsettled'), '');
    const removing = tryLock(join(path, 'container.lock'))!;
    const pruned = box.mica('container prune -f --filter until=1h');
    await setTimeout(200);
    rmSync(path, { recursive: true });
    removing[Symbol.dispose]();
    assert.deepEqual((await pruned).stderr, '');
    await box.ok('rm going');
    assert.deepEqual(left(), []);
  });

  test('of two that start a container one does, the other is told or finds it running', async () => {
    await box.ok('create --name both box sleep 1000');
    const children = [start('start', '-a', 'both'), start('start', '-a', 'both')];
    const first = await Promise.race(
      children.map(async (child) => [child, await once(child, 'exit')]),
    );
    assert.deepEqual((first[1] as number[])[0], 5);
    assert.match(await box.ok('ps'), /both/);
    assert.equal(mountsBelow(directory()).length, 1);
    await box.ok('rm -f both');
    for (const child of children) if (child.exitCode === null) await once(child, 'exit');
    assert.deepEqual(left(), []);
  });

  test('whose monitor is killed, too, leaves a dead container that says so, and ends with it', async () => {
    await box.ok('run -d --name lost box sleep 1000');
    const { pid } = JSON.parse(
      await box.ok(['inspect', '-f', '{"pid":{{.State.Pid}}}', 'lost']),
    ) as { pid: number };
    process.kill(Number(statOf(pid)[1]), 'SIGKILL');
    await until(async () => (await box.ok('ps -a')).includes('Dead'));
    assert.equal((await box.mica('rm lost')).code, 6);
    await box.ok('rm -f lost');
    // Whoever it was given to may not have taken note yet.
    await until(() => hasEnded(pid));
    assert.deepEqual(left(), []);
  });
});
