import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import * as at from '../sys/at.ts';
import { toBytes } from '../sys/byte-string.ts';
import { ftruncate, pwrite } from '../sys/file.ts';
import { setXattr } from '../sys/xattr.ts';
import { describeDirectory } from '../testing/describe.ts';
import { needs } from '../testing/need.ts';
import { copyTree } from './copy.ts';
import { removeTree } from './remove.ts';
import { Root } from './root.ts';
import { treeUsage } from './usage.ts';
import { walk } from './walk.ts';

const skip = needs('linux');
const root = needs('root');
const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'fs-'));

/** One of everything that a copy can lose. */
function everything(path: string): void {
  mkdirSync(join(path, 'd/empty'), { recursive: true });
  const fd = at.openat(at.AT_FDCWD, toBytes(path), at.O_DIRECTORY);
  const file = at.openat(fd, 'hole\xff', at.O_CREAT | at.O_RDWR, 0o600);
  pwrite(file, Buffer.from('data'), 1 << 20, '');
  ftruncate(file, 1 << 22, '');
  setXattr(file, 'user.note', Buffer.from([0, 1]));
  at.close(file);
  writeFileSync(join(path, 'd/setuid'), 'x'.repeat(5000));
  at.fchownat(fd, 'd/setuid', 1000, 70_000);
  at.fchmodat(fd, 'd/setuid', 0o6755);
  linkSync(join(path, 'd/setuid'), join(path, 'second'));
  symlinkSync('\x01nowhere', join(path, 'link'));
  at.fchownat(fd, 'link', 5, 6);
  at.mknodat(fd, 'fifo', 0o010622);
  at.mknodat(fd, 'null', 0o020666, at.makedev(1, 3));
  at.mknodat(fd, 'whiteout', 0o020000, 0);
  setXattr({ dirfd: fd, name: 'd' }, 'trusted.overlay.opaque', Buffer.from('y'));
  at.fchmodat(fd, 'd', 0o1750);
  for (const name of ['link', 'd/setuid', 'd/empty', 'd', 'fifo', '.'])
    at.utimensat(fd, name, -5, 123_456_789);
  at.close(fd);
}

test('a copy has every attribute of the original', { skip: root }, async () => {
  await using dir = await scratch();
  const [from, to] = [join(dir.path, 'from'), join(dir.path, 'to')];
  mkdirSync(from);
  mkdirSync(to);
  everything(from);
  await copyTree(from, to);
  assert.equal(describeDirectory(toBytes(to)), describeDirectory(toBytes(from)));
  assert.deepEqual(await treeUsage(to), await treeUsage(from));
});

test('copying stops when it is aborted', { skip: root }, async () => {
  await using dir = await scratch();
  const [from, to] = [join(dir.path, 'from'), join(dir.path, 'to')];
  mkdirSync(from);
  mkdirSync(to);
  for (let i = 0; i < 500; i++) writeFileSync(join(from, String(i)), '');
  const stop = new AbortController();
  setImmediate(() => stop.abort(new Error('enough')));
  await assert.rejects(copyTree(from, to, { signal: stop.signal }), { message: 'enough' });
  assert.ok(readdirSync(to).length < 500);
});

test('usage counts blocks and inodes, hard links once, holes not at all', { skip }, async () => {
  await using dir = await scratch();
  writeFileSync(join(dir.path, 'a'), Buffer.alloc(100_000, 1));
  const { size, inodes } = await treeUsage(dir.path);
  linkSync(join(dir.path, 'a'), join(dir.path, 'b'));
  execFileSync('truncate', ['-s', '1G', join(dir.path, 'hole')]);
  const more = await treeUsage(dir.path);
  assert.equal(inodes, 2);
  assert.ok(size >= 100_000 && size < 200_000);
  assert.deepEqual([more.size, more.inodes], [size, 3]);
});

test(
  'a walk is in byte order, and tells a directory before and after its content',
  { skip },
  async () => {
    await using dir = await scratch();
    mkdirSync(join(dir.path, 'b/c'), { recursive: true });
    for (const name of ['a', 'b.x', 'b/z', 'é']) writeFileSync(join(dir.path, name), '');
    symlinkSync('b', join(dir.path, 'link'));
    const fd = at.openat(at.AT_FDCWD, toBytes(dir.path), at.O_DIRECTORY);
    const seen = Array.from(
      walk(fd),
      ({ path, phase }) => `${phase === 'after' ? '/' : ''}${path}`,
    );
    assert.deepEqual(seen, [
      '',
      'a',
      'b',
      'b/c',
      '/b/c',
      'b/z',
      '/b',
      'b.x',
      'link',
      '\xc3\xa9',
      '/',
    ]);
    at.close(fd);
  },
);

test('usage is told although files vanish while they are counted', { skip }, async () => {
  await using dir = await scratch();
  const names = Array.from({ length: 600 }, (_, i) => String(i).padStart(3, '0'));
  for (const name of names) writeFileSync(join(dir.path, name), '');
  mkdirSync(join(dir.path, 'x'));
  // Others get their turn after 512 files: until then it does not come back here.
  const counted = treeUsage(dir.path);
  for (const name of ['598', '599', 'x']) removeTree(join(dir.path, name));
  assert.equal((await counted).inodes, 1 + 598);
});

test('a directory that vanishes before a walk enters it is left out', { skip }, async () => {
  await using dir = await scratch();
  for (const name of ['a', 'b']) mkdirSync(join(dir.path, name));
  const fd = at.openat(at.AT_FDCWD, toBytes(dir.path), at.O_DIRECTORY);
  try {
    const seen: string[] = [];
    for (const { path, phase } of walk(fd, { isInUse: true })) {
      if (phase === 'before' && path === 'a') removeTree(join(dir.path, path));
      seen.push(`${phase} /${path}`);
    }
    assert.deepEqual(seen, ['before /', 'before /a', 'before /b', 'after /b', 'after /']);
  } finally {
    at.close(fd);
  }
});

test('removing a tree removes links, not what they lead to', { skip }, async () => {
  await using dir = await scratch();
  mkdirSync(join(dir.path, 'outside'));
  writeFileSync(join(dir.path, 'outside/kept'), '1');
  mkdirSync(join(dir.path, 'tree/sub'), { recursive: true });
  symlinkSync('../outside', join(dir.path, 'tree/link'));
  symlinkSync('../../outside', join(dir.path, 'tree/sub/link'));
  removeTree(join(dir.path, 'tree/'));
  removeTree(join(dir.path, 'tree'));
  removeTree(join(dir.path, 'no/such'));
  assert.deepEqual(readdirSync(dir.path), ['outside']);
  assert.equal(readFileSync(join(dir.path, 'outside/kept'), 'utf8'), '1');
});

test('a tree deeper than any path is removed', { skip }, async () => {
  await using dir = await scratch();
  let fd = at.openat(at.AT_FDCWD, toBytes(dir.path), at.O_DIRECTORY);
  for (let depth = 0; depth < 1000; depth++) {
    const name = 'a-long-name';
    at.mkdirat(fd, name, 0o700);
    at.close(at.openat(fd, 'file', at.O_CREAT | at.O_RDWR, 0o600));
    const next = at.opendirat(fd, name);
    at.close(fd);
    fd = next;
  }
  at.close(fd);
  removeTree(join(dir.path, 'a-long-name'));
  assert.deepEqual(readdirSync(dir.path), ['file']);
});

test('opening inside a root never leaves it', { skip }, async () => {
  await using dir = await scratch();
  mkdirSync(join(dir.path, 'root/etc'), { recursive: true });
  writeFileSync(join(dir.path, 'root/etc/passwd'), 'inside');
  writeFileSync(join(dir.path, 'secret'), 'outside');
  symlinkSync('/etc', join(dir.path, 'root/absolute'));
  symlinkSync('../secret', join(dir.path, 'root/up'));
  symlinkSync('/proc/self/root', join(dir.path, 'root/magic'));
  using opened = new Root(join(dir.path, 'root'));
  const read = (fd: number): string => {
    const text = readFileSync(fd, 'utf8');
    at.close(fd);
    return text;
  };
  assert.equal(read(opened.open('absolute/passwd', at.O_RDONLY)), 'inside');
  assert.equal(read(opened.openExact('etc/passwd', at.O_RDONLY)), 'inside');
  assert.throws(() => opened.open('up', at.O_RDONLY), { code: 'NOT_FOUND' });
  assert.throws(() => opened.open('magic/etc/passwd', at.O_RDONLY), { code: 'NOT_FOUND' });
  assert.throws(() => opened.openExact('absolute/passwd', at.O_RDONLY), {
    code: 'INVALID_ARGUMENT',
  });
  assert.equal(statSync(dir.path).isDirectory() && existsSync(join(dir.path, 'secret')), true);
});

test('several may remove one tree at once', { skip }, async () => {
  await using dir = await scratch();
  const trees = Array.from({ length: 30 }, (_, n) => join(dir.path, `tree-${n}`));
  const deep = Array.from({ length: 150 }, (_, level) => `level-${level}`).join('/');
  for (const tree of trees) {
    mkdirSync(join(tree, deep), { recursive: true });
    for (let i = 0; i < 8; i++) {
      mkdirSync(join(tree, `${i}/inner`), { recursive: true });
      writeFileSync(join(tree, `${i}/inner/file`), '');
    }
  }
  const source = `
    const { removeTree } = await import(${JSON.stringify(new URL('./remove.ts', import.meta.url).href)});
    const { workerData, parentPort } = await import('node:worker_threads');
    for (const tree of workerData) removeTree(tree);
    parentPort.postMessage('done');`;
  const removing = Array.from({ length: 3 }, async () => {
    const worker = new Worker(source, { eval: true, workerData: trees });
    const [[said]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
    return said as string;
  });
  assert.deepEqual(await Promise.all(removing), ['done', 'done', 'done']);
  assert.deepEqual(readdirSync(dir.path), []);
});
