import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { AT_FDCWD, close, O_CREAT, O_DIRECTORY, O_RDWR, openat, symlinkat } from './at.ts';
import { toBytes } from './byte-string.ts';
import { allXattrs, getXattr, isXattrRefusal, listXattrs, removeXattr, setXattr } from './xattr.ts';

test(
  'attributes of a file are set, listed, read and removed',
  { skip: needs('linux') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'xattr-'));
    const fd = openat(AT_FDCWD, toBytes(join(dir.path, 'file')), O_CREAT | O_RDWR, 0o600);
    setXattr(fd, 'user.caf\xe9', Buffer.from([0, 255, 10]));
    setXattr(fd, 'user.a', new Uint8Array());
    assert.deepEqual(
      allXattrs(fd).map(({ name, value }) => [name, [...value]]),
      [
        ['user.a', []],
        ['user.caf\xe9', [0, 255, 10]],
      ],
    );
    removeXattr(fd, 'user.a');
    removeXattr(fd, 'user.a');
    assert.equal(getXattr(fd, 'user.a'), undefined);
    close(fd);
  },
);

test('a list of attributes is told whole, however long', { skip: needs('linux') }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'xattr-'));
  const fd = openat(AT_FDCWD, toBytes(join(dir.path, 'file')), O_CREAT | O_RDWR, 0o600);
  // Together they fit into a block of ext4.
  const names = Array.from({ length: 12 }, (_, n) => `user.${String(n).padStart(200, 'n')}`);
  for (const name of names) setXattr(fd, name, new Uint8Array());
  assert.deepEqual(listXattrs(fd).sort(), names.sort());
  close(fd);
});

test('attributes of a link are its own', { skip: needs('root') }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'xattr-'));
  const dirfd = openat(AT_FDCWD, toBytes(dir.path), O_DIRECTORY);
  symlinkat('nowhere', dirfd, 'link');
  setXattr({ dirfd, name: 'link' }, 'trusted.x', Buffer.from('1'));
  assert.deepEqual(listXattrs({ dirfd, name: 'link' }), ['trusted.x']);
  setXattr(dirfd, 'trusted.y', Buffer.from('1'));
  for (const name of ['.', '']) assert.deepEqual(listXattrs({ dirfd, name }), ['trusted.y']);
  assert.throws(() => listXattrs({ dirfd, name: 'absent' }), { code: 'NOT_FOUND' });
  assert.throws(
    () => setXattr({ dirfd, name: 'link' }, 'user.x', Buffer.from('1')),
    isXattrRefusal,
  );
  close(dirfd);
});
