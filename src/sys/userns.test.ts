import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { needs } from '../testing/need.ts';
import { inUserNamespace, needsUserNamespace } from './userns.ts';

const run = promisify(execFile);
const DAEMON = 1;

/** Prints what it finds inside, then leaves with status 7. */
const inside = `
import { readFileSync, readlinkSync } from 'node:fs';
console.log(JSON.stringify({
  uid: process.geteuid(),
  map: readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\\s+/).map(Number),
  namespace: readlinkSync('/proc/self/ns/user'),
  cwd: process.cwd(),
}));
process.exit(7);`;

test('root of the machine needs no user namespace', { skip: needs('root') }, () => {
  assert.equal(needsUserNamespace(), false);
  assert.equal(inUserNamespace(), false);
});

test(
  'commands of one user run as root of one namespace, with many ids, where they were',
  { skip: needs('userns') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'userns-'));
    await chmod(dir.path, 0o755);
    const home = join(dir.path, 'home dir');
    await mkdir(home);
    await chown(home, DAEMON, DAEMON);
    await writeFile(join(dir.path, 'ids'), `${DAEMON}:200000:65536\n`);
    await writeFile(join(dir.path, 'inside.mjs'), inside);
    await writeFile(
      join(dir.path, 'outside.mjs'),
      `const { enterUserNamespace } = await import(${JSON.stringify(import.meta.resolve('./userns.ts'))});
       const argv = [process.execPath, ${JSON.stringify(join(dir.path, 'inside.mjs'))}];
       const status = await enterUserNamespace(argv, { runtime: ${JSON.stringify(join(home, 'run'))} });
       console.log(status);
       console.log(await enterUserNamespace(['sh', '-c', 'kill -ABRT $$'], { runtime: ${JSON.stringify(join(home, 'run'))} }));`,
    );
    const pause = join(home, 'run/pause');
    const script = `
      set -e
      mount --bind "$1/ids" /etc/subuid
      mount --bind "$1/ids" /etc/subgid
      cd "$1/home dir"
      for i in 1 2; do setpriv --reuid ${DAEMON} --regid ${DAEMON} --clear-groups "$2" "$1/outside.mjs"; done`;
    try {
      const { stdout } = await run('unshare', [
        '-m',
        'sh',
        '-c',
        script,
        'sh',
        dir.path,
        process.execPath,
      ]);
      const [first, status, aborted, second] = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.equal(status, 7);
      assert.equal(aborted, 128 + constants.signals.SIGABRT);
      assert.deepEqual(first, second);
      assert.equal(first.uid, 0);
      assert.deepEqual(first.map.slice(0, 5), [0, DAEMON, 1, 1, 200000]);
      assert.equal(first.cwd, home);
    } finally {
      const pid = Number((await readFile(pause, 'latin1')).split(' ')[0]);
      process.kill(pid, 'SIGKILL');
    }
  },
);
