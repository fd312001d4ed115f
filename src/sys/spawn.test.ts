import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { isCode } from '../errors.ts';
import { needs } from '../testing/need.ts';
import { endingOf } from './children.ts';
import { pipe, socketPair } from './pipe.ts';
import { type ProgramStart, spawnProgram } from './spawn.ts';

const LINUX = { skip: needs('linux'), timeout: 120_000 };

/** What a shell's script says. */
async function said(script: string, options: Partial<ProgramStart>): Promise<string> {
  const nothing = openSync('/dev/null', 'r+');
  const { read, write } = pipe();
  const fds = [nothing, write, nothing];
  const args = ['-c', script, 'name', 'a b', 'ü'];
  const pid = spawnProgram({ path: '/bin/sh', args, env: {}, fds, ...options });
  for (const fd of [nothing, write]) closeSync(fd);
  const all = await text(new Socket({ fd: read, readable: true, writable: false }));
  assert.deepEqual(await endingOf(pid), { code: 0 });
  return all.replaceAll(String(pid), 'PID');
}

for (const [title, script, options, wanted] of [
  ['its arguments', 'echo "$0|$1|$2|$#"', {}, 'name|a b|ü|2\n'],
  [
    'its own environment alone',
    'tr "\\0" "\\n" < /proc/$$/environ',
    { env: { A: 'ö=1' } },
    'A=ö=1\n',
  ],
  [
    'no signal that is blocked or ignored',
    'exec grep -E "^Sig(Blk|Ign)" /proc/self/status',
    {},
    'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n',
  ],
  ['a session of its own', 'cut -d " " -f 6 /proc/$$/stat', { ownSession: true }, 'PID\n'],
] as const)
  test(`a program gets ${title}`, LINUX, async () => {
    assert.equal(await said(script, options), wanted);
  });

test('a program gets nothing that Node has opened', LINUX, async () => {
  const open = openSync(import.meta.filename, 'r');
  const found = await said('readlink /proc/$$/fd/* | grep -c spawn.test.ts || :', {});
  closeSync(open);
  assert.equal(found, '0\n');
});

test('what cannot be executed is told at once', LINUX, () => {
  const start = { args: [], env: {}, fds: [] };
  for (const [path, code] of [
    ['/nowhere', 'NOT_FOUND'],
    ['/etc/passwd', 'PERMISSION_DENIED'],
    ['/bin/sh\0', 'INVALID_ARGUMENT'],
  ] as const)
    assert.throws(
      () => spawnProgram({ ...start, path }),
      (error) => isCode(error, code),
      path,
    );
});

test(
  'a limit of processes that is reached is told with what to do',
  {
    skip: needs('root'),
  },
  () => {
    // Root itself has none. What is needed is loaded before the limit holds.
    const program = `
    import { execFileSync } from 'node:child_process';
    import { spawnProgram } from ${JSON.stringify(import.meta.resolve('./spawn.ts'))};
    const start = () => spawnProgram({ path: '/bin/true', args: [], env: {}, fds: [] });
    start();
    execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=0:0']);
    process.setuid(54321);
    try {
      start();
    } catch ({ code, message }) {
      process.stdout.write(code + ' ' + message);
    }`;
    const refusal = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    assert.match(refusal, /^RESOURCE_EXHAUSTED posix_spawn \/bin\/true: .*EAGAIN\); .*ulimit -u/);
  },
);

test('each of many children is told its own end, and none is left as a zombie', LINUX, async () => {
  const start = (script: string): number =>
    spawnProgram({ path: '/bin/sh', args: ['-c', script], env: {}, fds: [] });
  const pids = Array.from({ length: 20 }, (_, code) => start(`exit ${code}`));
  const killed = start('kill -9 $$');
  const codes = await Promise.all(pids.map((pid) => endingOf(pid)));
  assert.deepEqual(
    codes,
    pids.map((_, code) => ({ code })),
  );
  assert.deepEqual(await endingOf(killed), { signal: 9 });
  for (const pid of [...pids, killed]) assert.equal(existsSync(`/proc/${pid}`), false);
  assert.equal(process.listenerCount('SIGCHLD'), 0);
});

test('who is no child has no end to be waited for', LINUX, async () => {
  await assert.rejects(endingOf(process.ppid), (error) => isCode(error, 'INTERNAL'));
});

test('two sockets of a pair are connected', LINUX, async () => {
  const [one, other] = socketPair().map((fd) => new Socket({ fd }));
  one!.end('hello');
  assert.equal(await text(other!), 'hello');
  other!.end();
  await once(one!, 'close');
});
