import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { AT_FDCWD, close, O_DIRECTORY, openat, symlinkat } from './at.ts';
import { toBytes } from './byte-string.ts';
import { NR } from './syscalls.ts';
import { listXattrs, setXattr } from './xattr.ts';

test(
  'attributes of a name are listed by a kernel that has no call for names in directories',
  { skip: needs('root') },
  async () => {
    // No kernel has one of this number.
    Object.assign(NR, { listxattrat: 0xffff });
    await using dir = await mkdtempDisposable(join(tmpdir(), 'xattr-'));
    const dirfd = openat(AT_FDCWD, toBytes(dir.path), O_DIRECTORY);
    symlinkat('nowhere', dirfd, 'link');
    setXattr({ dirfd, name: 'link' }, 'trusted.x', Buffer.from('1'));
    setXattr(dirfd, 'trusted.y', Buffer.from('1'));
    assert.deepEqual(listXattrs({ dirfd, name: 'link' }), ['trusted.x']);
    for (const name of ['.', '']) assert.deepEqual(listXattrs({ dirfd, name }), ['trusted.y']);
    assert.throws(() => listXattrs({ dirfd, name: 'absent' }), { code: 'NOT_FOUND' });
    close(dirfd);
  },
);
