import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { needs } from '../../testing/need.ts';
import { daemonsNamed, readWithoutWaiting } from './fuse-daemon.ts';

const O_NONBLOCK = 0o4000;

test(
  'another process does not wait in what it reads of FUSE any more, and waits in all else',
  { skip: needs('fuse-overlayfs') },
  () => {
    const [device, other] = [openSync('/dev/fuse', 'r+'), openSync('/dev/zero', 'r')];
    const child = spawn('sleep', ['60'], { stdio: ['ignore', device, other] });
    try {
      const waits = (fd: number): boolean => {
        const info = readFileSync(`/proc/${child.pid}/fdinfo/${fd}`, 'latin1');
        return (Number.parseInt(/flags:\s*(\d+)/.exec(info)![1]!, 8) & O_NONBLOCK) === 0;
      };
      assert.deepEqual([1, 2].map(waits), [true, true]);
      for (const _ of ['once', 'and again']) {
        readWithoutWaiting(child.pid!);
        assert.deepEqual([1, 2].map(waits), [false, true]);
      }
    } finally {
      child.kill('SIGKILL');
      for (const fd of [device, other]) closeSync(fd);
    }
  },
);

test('daemons are found by the name of their program', { skip: needs('root') }, () => {
  assert.ok(daemonsNamed(readFileSync('/proc/self/comm', 'latin1').trim()).includes(process.pid));
  assert.deepEqual(daemonsNamed('no-such-program'), []);
});
