import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { openedBy } from './opened-by.ts';

test('the processes that have a file open are named', { skip: needs('linux') }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-opened-'));
  const path = join(dir.path, 'file');
  const fd = openSync(path, 'w');
  try {
    assert.deepEqual(openedBy(path), []);
    const again = openSync(path, 'r');
    assert.match(openedBy(path).join(), new RegExp(`^process ${process.pid} `));
    closeSync(again);
    const child = spawn('sh', ['-c', 'exec 7<"$0"; echo; read line', path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    assert.equal(openedBy(path).length, 1);
    assert.match(openedBy(path)[0]!, new RegExp(`^process ${child.pid} \\(sh -c exec 7`));
    child.stdin.end();
    await once(child, 'close');
    assert.deepEqual(openedBy(path), []);
  } finally {
    closeSync(fd);
  }
});
