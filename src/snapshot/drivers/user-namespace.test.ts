import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../../testing/need.ts';
import { runInUserNamespace } from '../../testing/user-namespace.ts';

test(
  'in a user namespace, overlay2 (with userxattr), fuse-overlayfs, vfs and the snapshotter do all that they must',
  { skip: needs('userns', 'overlay', 'fuse-overlayfs') },
  async () => {
    const suites = [
      'suites/overlay2.test.ts',
      'suites/fuse-overlayfs.test.ts',
      'suites/vfs.test.ts',
      'fuse-overlayfs.test.ts',
      'overlay2.test.ts',
      'index.test.ts',
      '../local.test.ts',
    ];
    const files = suites.map((name) => join(import.meta.dirname, name));
    const { code, output } = await runInUserNamespace([process.execPath, '--test', ...files]);
    assert.equal(code, 0, output);
    // EROFS and AUFS are not for user namespaces.
    assert.deepEqual(output.match(/# needs (?!(?:erofs|aufs)$).*/gm), null);
    assert.match(output, /pass [1-9]/);
  },
);
