import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { needs } from '../../src/testing/need.ts';
import { char, dir, file, hardlink, link, tree } from '../../src/testing/tree.ts';
import { type Kit, openKit } from './kit.ts';

let kit: Kit;
before(async () => {
  kit = await openKit();
  const layer = tree({
    'etc/conf': file('conf\n', { mode: 0o640, mtime: 1_000_000_000 }),
    'etc/same': hardlink('etc/conf'),
    'etc/abs': link('/etc/conf'),
    'etc/out': link('../../../../../../tmp'),
    'etc/sub': dir({ mode: 0o500 }),
    'etc/sub/deep': file('deep'),
    'bin/su': file('su', { mode: 0o4755 }),
    'dev/null': char(1, 3),
  });
  await kit.origin.image('app', [layer], { compression: 'none' });
  await kit.ok('pull -q REG/app');
});
after(() => kit[Symbol.asyncDispose]());

const fresh = (name: string): string => {
  const path = join(kit.directory, name);
  mkdirSync(path);
  return path;
};

test('several go into a directory that is there, and nowhere else', async () => {
  const to = fresh('several');
  await kit.ok(['cp', 'REG/app', '/etc/conf', '/etc/sub/deep', to]);
  assert.equal(readFileSync(join(to, 'deep'), 'utf8'), 'deep');
  const one = join(to, 'one');
  const refused = await kit.mica(['cp', 'REG/app', '/etc/conf', '/etc/sub/deep', one]);
  assert.deepEqual([refused.code, existsSync(one)], [6, false]);
  const archive = await kit.mica(['cp', 'REG/app', '/etc/conf', '/etc/sub/deep', '-']);
  assert.deepEqual([archive.code, archive.stdout], [2, '']);
});

test('a file goes into a directory, or under a name of its own', async () => {
  const to = fresh('file');
  await kit.ok(['cp', 'REG/app:/etc/conf', to]);
  await kit.ok(['cp', 'REG/app', 'etc/conf', join(to, 'other')]);
  const { mode, mtimeMs } = statSync(join(to, 'conf'));
  assert.deepEqual([mode & 0o777, mtimeMs], [0o640, 1_000_000_000_000]);
  assert.equal(readFileSync(join(to, 'other'), 'utf8'), 'conf\n');
  assert.equal((await kit.mica(['cp', 'REG/app:/etc/conf', join(to, 'missing/')])).code, 3);
});

test('a directory is copied as one that exists not yet, into one that does, or its content', async () => {
  const to = fresh('directory');
  await kit.ok(['cp', 'REG/app:/etc', join(to, 'new')]);
  await kit.ok(['cp', 'REG/app:/etc', to]);
  await kit.ok(['cp', 'REG/app:/etc/.', to]);
  for (const place of ['new', 'etc', '.'])
    assert.equal(readFileSync(join(to, place, 'sub/deep'), 'utf8'), 'deep');
  assert.equal(readlinkSync(join(to, 'etc/abs')), '/etc/conf');
  assert.equal(lstatSync(join(to, 'etc/conf')).ino, lstatSync(join(to, 'etc/same')).ino);
  assert.equal(lstatSync(join(to, 'etc/sub')).mode & 0o777, 0o500);
});

test('a link is copied as a link, or with -L as what it leads to', async () => {
  const to = fresh('link');
  await kit.ok(['cp', 'REG/app:/etc/abs', to]);
  assert.equal(readlinkSync(join(to, 'abs')), '/etc/conf');
  await kit.ok(['cp', '-L', 'REG/app:/etc/abs', join(to, 'file')]);
  assert.equal(readFileSync(join(to, 'file'), 'utf8'), 'conf\n');
});

test('no link in the way of a copy is followed', async () => {
  const [to, outside] = [fresh('attacked'), fresh('outside')];
  mkdirSync(join(to, 'etc'));
  symlinkSync(outside, join(to, 'etc/sub'));
  const { code, stderr } = await kit.mica(['cp', 'REG/app:/etc', to]);
  assert.equal(code, 4, stderr);
  assert.match(stderr, /etc\/sub is in the way/);
  writeFileSync(join(outside, 'victim'), 'unharmed');
  const other = fresh('other');
  symlinkSync(join(outside, 'victim'), join(other, 'conf'));
  await kit.ok(['cp', 'REG/app:/etc/conf', other]);
  assert.equal(readFileSync(join(outside, 'victim'), 'utf8'), 'unharmed');
  assert.ok(lstatSync(join(other, 'conf')).isFile());
});

test('setuid bits stay behind, and devices are named', async () => {
  const to = fresh('bits');
  await kit.ok(['cp', 'REG/app:/bin/su', to]);
  assert.equal(statSync(join(to, 'su')).mode & 0o7777, 0o755);
  const { code, stderr } = await kit.mica(['cp', 'REG/app:/dev', to]);
  assert.deepEqual([code, stderr], [0, 'mica: skipped /dev/null: it is a character device\n']);
});

test('-a keeps setuid bits', { skip: needs('root') }, async () => {
  const to = fresh('archive');
  await kit.ok(['cp', '-a', 'REG/app:/bin/su', to]);
  assert.equal(statSync(join(to, 'su')).mode & 0o7777, 0o4755);
});

test('the archive on standard output is what tar makes of it', { skip: needs('tar') }, async () => {
  const archive = join(kit.directory, 'out.tar');
  writeFileSync(archive, await kit.ok('cp REG/app:/etc -'), 'latin1');
  const names = execFileSync('tar', ['-tf', archive], { encoding: 'utf8' }).trim().split('\n');
  assert.deepEqual(names, [
    'etc/',
    'etc/abs',
    'etc/conf',
    'etc/out',
    'etc/same',
    'etc/sub/',
    'etc/sub/deep',
  ]);
  assert.equal(execFileSync('tar', ['-xOf', archive, 'etc/conf'], { encoding: 'utf8' }), 'conf\n');
  assert.equal((await kit.mica(['cp', 'REG/app:/etc', '-'], { columns: 80 })).code, 2);
});
