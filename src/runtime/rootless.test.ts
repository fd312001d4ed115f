import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needs } from '../testing/need.ts';
import { runInUserNamespace } from '../testing/user-namespace.ts';

const module = (path: string): string => JSON.stringify(import.meta.resolve(path));

/** Runs a container, a second process in it, and one on a terminal, without being root outside. */
const INSIDE = `
const { collect, makeContainer } = await import(${module('../testing/container.ts')});
const { kill } = await import(${module('./kill.ts')});
const { readState } = await import(${module('./state.ts')});
const { processesOf } = await import(${module('./processes.ts')});
const runtime = process.argv[1];
try {
  await using box = await makeContainer({
    runtime,
    options: { command: ['sh', '-c', 'id -u; ls /sys/class/net; echo x > /dev/null; read x'], user: '1000:1000' },
  });
  using first = await box.start({ stdin: 'once' });
  const exec = await collect(await box.exec({ command: ['sh', '-c', 'tty; exit 4'], tty: true }));
  // Its first process may not have come to \`read\` yet.
  while (processesOf(first.pid).length > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  console.log('exec', exec.stdout.trim(), exec.exitCode, processesOf(first.pid).length);
  first.endInput();
  const ran = await collect(first);
  console.log('ran', ran.stdout.trim().replaceAll('\\n', ' '), ran.stderr, ran.exitCode);
  await using other = await makeContainer({ runtime, options: { command: ['sleep', '100'], network: 'host' } });
  using _ = await other.start();
  await kill(other.directory);
  for await (const _ of _.output);
  console.log('killed', (await readState(other.directory)).exitCode);
} catch (error) {
  console.log('failed', error.code, error.message);
}`
  .replaceAll('using _ =', 'using second =')
  .replaceAll('of _.output', 'of second.output');

describe('in a user namespace', () => {
  for (const runtime of ['crun', 'runc'] as const)
    test(`${runtime} runs containers`, { skip: needs('busybox', runtime, 'userns') }, async () => {
      const node = [process.execPath, '--input-type=module', '-e', INSIDE, runtime];
      const { output } = await runInUserNamespace(node);
      assert.deepEqual(output.trim().split('\n'), [
        'ready',
        'exec /dev/pts/0 4 1',
        'ran 1000 lo  1',
        'killed 137',
      ]);
    });
});
