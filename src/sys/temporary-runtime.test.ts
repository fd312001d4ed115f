import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { temporaryRuntime } from './temporary-runtime.ts';

const DAEMON = 1;

test(
  "root of a user's namespace keeps things where that user does",
  { skip: needs('userns') },
  () => {
    const source = `
    const { temporaryRuntime } = await import(${JSON.stringify(join(import.meta.dirname, 'temporary-runtime.ts'))});
    console.log(process.geteuid(), temporaryRuntime());`;
    const as = { uid: DAEMON, gid: DAEMON, encoding: 'utf8' } as const;
    const words = ['--input-type=module', '-e', source];
    const enter = ['--user', '--map-root-user', '--', process.execPath];
    const directory = `/tmp/mica-run-${DAEMON}`;
    assert.equal(execFileSync(process.execPath, words, as), `${DAEMON} ${directory}\n`);
    assert.equal(execFileSync('unshare', [...enter, ...words], as), `0 ${directory}\n`);
  },
);

test('a user outside of any namespace has a directory by his id', () => {
  assert.match(temporaryRuntime(), /^\/tmp\/mica-run-\d+$/);
});
