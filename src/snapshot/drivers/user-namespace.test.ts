import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../../testing/need.ts';
import { runInUserNamespace } from '../../testing/user-namespace.ts';

test(
  'in a user namespace, overlay2 (with userxattr) and vfs do all that a driver must',
  { skip: needs('userns', 'overlay') },
  async () => {
    const suite = join(import.meta.dirname, 'drivers.test.ts');
    const { code, output } = await runInUserNamespace([process.execPath, '--test', suite]);
    assert.equal(code, 0, output);
    assert.match(output, /skipped 0/);
    assert.match(output, /pass [1-9]/);
  },
);
