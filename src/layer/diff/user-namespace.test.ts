import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../../testing/need.ts';
import { runInUserNamespace } from '../../testing/user-namespace.ts';

test(
  'in a user namespace, too, an upper directory and a comparison give one archive',
  { skip: needs('userns', 'overlay') },
  async () => {
    const files = ['laws.test.ts', 'change.test.ts'].map((name) => join(import.meta.dirname, name));
    const { code, output } = await runInUserNamespace([process.execPath, '--test', ...files]);
    assert.equal(code, 0, output);
    assert.match(output, /skipped 0/);
    assert.match(output, /pass [1-9]/);
  },
);
