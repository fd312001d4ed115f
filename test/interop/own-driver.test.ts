import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../../src/testing/need.ts';

test(
  'the example of a driver of one’s own does what a driver must do',
  { skip: needs('root', 'loop') },
  () => {
    const file = join(import.meta.dirname, '../../examples/own-driver/copies.test.ts');
    const only = '--test-name-pattern=/^driver copies(?!,)/';
    const { status, stdout } = spawnSync(process.execPath, ['--test', only, file], {
      encoding: 'utf8',
      // Else the tests take themselves for a part of these.
      env: { PATH: process.env['PATH'] },
    });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^ℹ pass [3-9]\d$/m);
    assert.match(stdout, /^ℹ skipped 0$/m);
  },
);
