import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { type ContainerKit, openContainerKit, skip } from './container-kit.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

/** Says each signal that it gets, and ends with 5 at the `last` one. */
const counting = (last: number): string[] => [
  'sh',
  '-c',
  `n=0; trap 'n=$((n+1)); echo $n' INT TERM HUP; echo 0; while [ $n -lt ${last} ]; do sleep 0.05; done; exit 5`,
];

describe('signals for an attached container', { skip }, () => {
  let box: ContainerKit & AsyncDisposable;
  before(async () => {
    box = await openContainerKit();
  });
  after(() => box[Symbol.asyncDispose]());

  /** Runs `words`, and answers each line of it with the next of `signals`. */
  const answered = async (
    words: readonly string[],
    signals: readonly NodeJS.Signals[],
  ): Promise<{ code: number | null; lines: string[]; stderr: string }> => {
    const child = spawn(process.execPath, [MAIN, '--root', box.kit.root, ...words]);
    child.stdin.end();
    const exit = once(child, 'close') as Promise<[number | null]>;
    const said = text(child.stderr);
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      const signal = signals[lines.push(line) - 1];
      if (signal !== undefined) child.kill(signal);
    }
    return { code: (await exit)[0], lines, stderr: await said };
  };

  for (const signals of [
    ['SIGINT', 'SIGTERM'],
    ['SIGHUP', 'SIGHUP', 'SIGHUP', 'SIGHUP'],
  ] as const)
    test(`${signals.join(', ')} to mica run all reach its process, and it is waited for`, async () => {
      const ran = await answered(['run', '--rm', 'box', ...counting(signals.length)], signals);
      const lines = [0, ...signals.keys().map((index) => index + 1)].map(String);
      assert.deepEqual(ran, { code: 5, lines, stderr: '' });
    });

  test('the third SIGINT that a container outlives ends mica run, and not the container', async () => {
    const signals = ['SIGINT', 'SIGINT', 'SIGINT'] as const;
    const ran = await answered(['run', '--name', 'deaf', 'box', ...counting(9)], signals);
    assert.deepEqual([ran.code, ran.lines], [130, ['0', '1', '2']]);
    assert.match(ran.stderr, /^mica: got 3 SIGTERM\/SIGINTs, forcefully exiting$/m);
    assert.match(await box.ok('ps'), /deaf/);
    await box.clear();
  });
});
