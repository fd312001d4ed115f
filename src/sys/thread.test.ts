import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';

const url = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);

/** Takes a while to load the addon after it has said that it is about to, and then goes on for ever. */
const ENTRY = `
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { foreignFunctions } from ${url('./binding.ts')};
import { beEndedPolitely, undisturbed } from ${url('./undisturbed.ts')};
beEndedPolitely(workerData);
undisturbed(() => {
  parentPort.postMessage('loading');
  const until = performance.now() + 300;
  while (performance.now() < until);
  foreignFunctions();
  writeSync(1, 'loaded, ');
});
for (;;) undisturbed(() => undefined);
`;

const PROGRAM = `
import { once } from 'node:events';
import { endThread, startThread } from ${url('./thread.ts')};
const entry = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(ENTRY)}));
const worker = startThread(entry, { execArgv: [] });
const [said] = await once(worker, 'message');
if (said !== 'loading') throw new Error(said);
`;

for (const [what, end] of [
  ['a thread that is ended', 'await endThread(worker); console.log("ended");'],
  [
    'a process that ends',
    'process.on("exit", () => console.log("ended")); worker.unref(); process.exitCode = 0;',
  ],
  ['a process that is ended', 'process.on("exit", () => console.log("ended")); process.exit(0);'],
] as const)
  test(
    `${what} waits for the native code that is being loaded in it`,
    { skip: needs('linux') },
    () => {
      const program = ['--input-type=module', '-e', PROGRAM + end];
      const { status, signal, stdout, stderr } = spawnSync(process.execPath, program, {
        encoding: 'utf8',
        timeout: 120_000,
      });
      assert.deepEqual(
        { status, signal, stdout },
        { status: 0, signal: null, stdout: 'loaded, ended\n' },
        stderr,
      );
    },
  );
