import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import * as at from './at.ts';
import { toBytes } from './byte-string.ts';
import { readNames } from './dirents.ts';
import { copyFileRange, ftruncate, nextData, pread, pwrite, write } from './file.ts';
import { statat } from './stat.ts';

const skip = needs('linux');

/** A new directory and a descriptor of it. */
async function scratch(): Promise<AsyncDisposable & { path: string; fd: number }> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'sys-'));
  const fd = at.openat(at.AT_FDCWD, toBytes(dir.path), at.O_DIRECTORY);
  return {
    path: dir.path,
    fd,
    async [Symbol.asyncDispose]() {
      at.close(fd);
      await dir.remove();
    },
  };
}

const create = (dirfd: number, name: string): number =>
  at.openat(dirfd, name, at.O_CREAT | at.O_EXCL | at.O_RDWR, 0o600);

test('names that are no UTF-8 go to the kernel and come back unchanged', { skip }, async () => {
  await using dir = await scratch();
  const name = '\xff\xfe caf\xe9';
  at.close(create(dir.fd, name));
  assert.deepEqual(readNames(dir.fd), [name]);
  at.symlinkat('\x80target', dir.fd, 'link');
  assert.equal(at.readlinkat(dir.fd, 'link'), '\x80target');
});

test('a name with a NUL is refused instead of cut short', { skip }, async () => {
  await using dir = await scratch();
  assert.throws(() => at.mkdirat(dir.fd, 'a\0b', 0o700), { code: 'INVALID_ARGUMENT' });
  assert.deepEqual(readNames(dir.fd), []);
});

const TIMES = [
  [-1, 999_999_999],
  [-2_000_000_000, 1],
  [0, 0],
  [5_000_000_000, 123_456_789],
] as const;

for (const [seconds, ns] of TIMES)
  test(`the time ${seconds}.${ns} is kept to the nanosecond`, { skip }, async () => {
    await using dir = await scratch();
    at.mkdirat(dir.fd, 'd', 0o700);
    at.utimensat(dir.fd, 'd', seconds, ns);
    const { mtime, mtimeNs } = statat(dir.fd, 'd');
    assert.deepEqual([mtime, mtimeNs], [seconds, ns]);
    assert.equal(
      lstatSync(join(dir.path, 'd'), { bigint: true }).mtimeNs,
      BigInt(seconds) * 10n ** 9n + BigInt(ns),
    );
  });

const ESCAPES = ['../outside', 'link/outside', 'absolute', 'sub/../../outside'];

for (const path of ESCAPES)
  test(`RESOLVE_BENEATH does not open ${path}`, { skip }, async () => {
    await using dir = await scratch();
    mkdirSync(join(dir.path, 'root/sub'), { recursive: true });
    writeFileSync(join(dir.path, 'outside'), 'secret');
    symlinkSync('..', join(dir.path, 'root/link'));
    symlinkSync(join(dir.path, 'outside'), join(dir.path, 'root/absolute'));
    const root = at.opendirat(dir.fd, 'root');
    const open = (resolve: number): number =>
      at.openat2(root, path, { flags: at.O_RDONLY, resolve });
    assert.throws(() => open(at.RESOLVE_BENEATH), { code: 'INVALID_ARGUMENT' });
    assert.throws(() => open(at.RESOLVE_IN_ROOT), { code: 'NOT_FOUND' });
    at.close(root);
  });

test('a final symbolic link is never opened as a directory', { skip }, async () => {
  await using dir = await scratch();
  symlinkSync('/', join(dir.path, 'link'));
  assert.throws(() => at.opendirat(dir.fd, 'link'), { code: 'FAILED_PRECONDITION' });
});

test('failures carry the errno as their cause', { skip }, async () => {
  await using dir = await scratch();
  assert.throws(() => at.unlinkat(dir.fd, 'none'), {
    code: 'NOT_FOUND',
    message: 'unlink none: no such file or directory (ENOENT)',
    cause: { errno: 2, code: 'ENOENT', syscall: 'unlink' },
  });
});

test('bytes are written, read and copied at any offset, holes kept', { skip }, async () => {
  await using dir = await scratch();
  const [a, b] = [create(dir.fd, 'a'), create(dir.fd, 'b')];
  write(a, Buffer.from('hello'), 'a');
  pwrite(a, Buffer.from('world'), 1 << 20, 'a');
  ftruncate(a, 1 << 21, 'a');
  assert.equal(statat(dir.fd, 'a').size, 1 << 21);
  assert.deepEqual(nextData(a, 4096 * 4, 1 << 21)?.start, 1 << 20);
  assert.equal(nextData(a, (1 << 20) + 8192, 1 << 21), undefined);
  const copied = copyFileRange(a, 1 << 20, b, 3, 5);
  if (copied === 5) {
    const into = Buffer.alloc(8);
    assert.equal(pread(b, into, 0, 'b'), 8);
    assert.equal(into.toString('latin1'), '\0\0\0world');
  }
  at.close(a);
  at.close(b);
});

for (const [major, minor] of [
  [1, 3],
  [259, 70_000],
  [4095, 0xfffff],
] as const)
  test(`device ${major}:${minor} survives its encoding`, () => {
    const rdev = at.makedev(major, minor);
    assert.deepEqual([at.majorOf(rdev), at.minorOf(rdev)], [major, minor]);
  });

test('a device node has the number it was made with', { skip: needs('root') }, async () => {
  await using dir = await scratch();
  at.mknodat(dir.fd, 'dev', 0o020600, at.makedev(259, 70_000));
  assert.equal(statat(dir.fd, 'dev').rdev, at.makedev(259, 70_000));
});
