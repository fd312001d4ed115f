import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { needs } from '../testing/need.ts';

const run = promisify(execFile);
const DAEMON = 1;

test(
  'without root a store is made in the user namespace, also by a command that only asks',
  { skip: needs('userns', 'overlay') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-namespace-'));
    await chmod(dir.path, 0o755);
    for (const name of ['home', 'run/user/1']) {
      await mkdir(join(dir.path, name), { recursive: true });
      await chown(join(dir.path, name), DAEMON, DAEMON);
    }
    await writeFile(join(dir.path, 'ids'), `${DAEMON}:200000:65536\n`);
    const script = `
      set -e
      mount --bind "$1/ids" /etc/subuid
      mount --bind "$1/ids" /etc/subgid
      mount --bind "$1/run" /run
      cd "$1/home"
      export HOME="$1/home" NODE_DISABLE_COMPILE_CACHE=1
      exec setpriv --reuid ${DAEMON} --regid ${DAEMON} --clear-groups "$2" "$3" --root "$1/home/store" info --json`;
    const main = join(import.meta.dirname, 'main.ts');
    try {
      const { stdout } = await run('unshare', [
        '-m',
        'sh',
        '-c',
        script,
        'sh',
        dir.path,
        process.execPath,
        main,
      ]);
      assert.equal((JSON.parse(stdout) as { driver: string }).driver, 'overlay2');
    } finally {
      const pause = join(dir.path, 'run/user/1/mica/pause');
      const text = await readFile(pause, 'latin1').catch(() => '');
      if (text !== '') process.kill(Number(text.split(' ')[0]), 'SIGKILL');
    }
  },
);
