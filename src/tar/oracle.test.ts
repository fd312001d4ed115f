import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempDisposableSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { expanded, readAll, type Seen } from '../testing/hand-made-tar.ts';
import { needs } from '../testing/need.ts';
import * as at from '../sys/at.ts';
import { type FileStat, statat } from '../sys/stat.ts';
import { allXattrs, removeXattr, setXattr } from '../sys/xattr.ts';
import type { Entry } from './entry.ts';
import { TarWriter } from './write.ts';

const [S_IFMT, S_IFCHR, S_IFBLK, S_IFIFO] = [0o170000, 0o020000, 0o060000, 0o010000];

/** Names, with the bytes of their files, of a tree that every format can hold. */
const PLAIN: Readonly<Record<string, string>> = {
  'bin/tool': 'a program',
  'etc/new\nline': 'x',
  'etc/caf\xe9 \xff': 'not UTF-8',
  'etc/empty': '',
  [`${'d/'.repeat(40)}f`]: 'deep',
};

class Directory implements Disposable {
  readonly #directory = mkdtempDisposableSync(join(tmpdir(), 'mica-tar-'));
  readonly path = this.#directory.path;
  readonly fd = at.opendirat(at.AT_FDCWD, this.path);

  [Symbol.dispose](): void {
    at.close(this.fd);
    this.#directory.remove();
  }
}

const native = (path: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${path}/`), Buffer.from(name, 'latin1')]);

/** The tree of the tests. @param extreme - whether it has what only pax and GNU can say */
function populate({ path, fd }: Directory, extreme: boolean): void {
  for (const name of ['bin', 'etc', 'dev', 'd/'.repeat(40)])
    mkdirSync(join(path, name), { recursive: true });
  for (const [name, content] of Object.entries(PLAIN)) writeFileSync(native(path, name), content);
  linkSync(join(path, 'bin/tool'), join(path, 'bin/hard'));
  symlinkSync('../bin/tool', join(path, 'etc/soft'));
  at.mknodat(fd, 'dev/null', S_IFCHR | 0o666, at.makedev(1, 3));
  at.mknodat(fd, 'dev/disk', S_IFBLK | 0o660, at.makedev(259, 70_000));
  at.mknodat(fd, 'dev/pipe', S_IFIFO | 0o600);
  lchownSync(join(path, 'bin/tool'), 1000, 2000);
  lchownSync(join(path, 'etc/soft'), 1000, 2000);
  at.fchmodat(fd, 'bin/tool', 0o6755);
  at.fchmodat(fd, 'etc', 0o1777);
  at.utimensat(fd, 'etc/empty', 1_600_000_000, 0);
  if (extreme) populateExtreme(path, fd);
}

function populateExtreme(path: string, fd: number): void {
  const long = 'n'.repeat(250);
  mkdirSync(join(path, long));
  writeFileSync(join(path, long, long), 'long');
  symlinkSync('t'.repeat(300), join(path, 'etc/long-target'));
  linkSync(join(path, long, long), join(path, 'etc/long-link'));
  writeFileSync(join(path, 'etc/owned'), 'by many bits');
  lchownSync(join(path, 'etc/owned'), 4_000_000_000, 3_000_000);
  writeFileSync(join(path, 'etc/before'), '');
  at.utimensat(fd, 'etc/before', -5, 0);
  const holes = openSync(join(path, 'holes'), 'w');
  for (let run = 0; run < 60; run++) writeSync(holes, `run ${run}`, run * 8192);
  ftruncateSync(holes, 60 * 8192 + 100);
  closeSync(holes);
}

function populatePax(fd: number): void {
  at.utimensat(fd, 'bin/tool', 1_600_000_000, 123_456_789);
  at.utimensat(fd, 'etc/soft', 1_600_000_000, 1);
  at.utimensat(fd, 'etc/before', -2, 250_000_000);
  for (const name of ['user.a=b', 'user.50%25', 'trusted.caf\xc3\xa9'])
    setXattr({ dirfd: fd, name: 'bin/tool' }, name, Buffer.from('v\0\n='));
  setXattr({ dirfd: fd, name: 'etc/soft' }, 'trusted.link', Buffer.from('y'));
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  setXattr({ dirfd: fd, name: 'bin/tool' }, 'security.capability', capability);
}

/** What must be the same, a line a name. */
type Survey = Map<string, string>;

interface Precision {
  readonly nanoseconds?: boolean;
  readonly xattrs?: boolean;
}

function describe(name: string, fields: readonly unknown[], xattrs: Entry['xattrs']): string {
  const extended = (xattrs ?? []).map(
    (xattr) => `${xattr.name}=${Buffer.from(xattr.value).toString('hex')}`,
  );
  return JSON.stringify([name, ...fields, ...extended.sort()]);
}

function surveyDirectory(directory: Directory, precision: Precision): Survey {
  const found: Survey = new Map();
  const visit = (name: string): void => {
    const stat = statat(directory.fd, name);
    found.set(name, describeFile(directory, name, stat, precision));
    if ((stat.mode & S_IFMT) !== 0o040000) return;
    for (const child of readdirSync(native(directory.path, name), { encoding: 'latin1' }).sort())
      visit(name === '' ? child : `${name}/${child}`);
  };
  for (const child of readdirSync(directory.path, { encoding: 'latin1' })) visit(child);
  return found;
}

const TYPES: Readonly<Record<number, Entry['type']>> = {
  [S_IFCHR]: 'char',
  [S_IFBLK]: 'block',
  [S_IFIFO]: 'fifo',
  0o040000: 'directory',
  0o100000: 'file',
  0o120000: 'symlink',
};

function describeFile(
  { path, fd }: Directory,
  name: string,
  stat: FileStat,
  precision: Precision,
): string {
  const type = TYPES[stat.mode & S_IFMT]!;
  const isFile = type === 'file';
  const target = type === 'symlink' ? readlinkSync(native(path, name), 'latin1') : '';
  return describe(
    name,
    [
      type,
      stat.mode & 0o7777,
      [stat.uid, stat.gid],
      [stat.mtime, precision.nanoseconds ? stat.mtimeNs : 0],
      [at.majorOf(stat.rdev), at.minorOf(stat.rdev)],
      target,
      isFile ? readFileSync(native(path, name), 'latin1') : '',
    ],
    precision.xattrs ? allXattrs({ dirfd: fd, name }) : [],
  );
}

const bare = (name: string): string => name.replace(/^\.\/|\/$/g, '');

function surveyArchive(archive: Buffer): Survey {
  const members = new Map<string, Seen>();
  for (const seen of readAll(archive, [65_536, 513])) {
    const name = bare(seen.entry.name);
    // A hard link is what it links to.
    const isLink = seen.entry.type === 'link';
    if (name !== '.' && name !== '')
      members.set(name, isLink ? members.get(bare(seen.entry.linkName))! : seen);
  }
  const found: Survey = new Map();
  for (const [name, seen] of members) {
    const { type, mode, uid, gid, mtime, mtimeNs, xattrs, ...entry } = seen.entry;
    const device = [entry.deviceMajor, entry.deviceMinor];
    const content = type === 'file' ? expanded(seen).toString('latin1') : '';
    const fields = [type, mode, [uid, gid], [mtime, mtimeNs], device, entry.linkName, content];
    found.set(name, describe(name, fields, xattrs));
  }
  return found;
}

const run = (tool: string, options: readonly string[], input?: Buffer): Buffer =>
  execFileSync(tool, options, {
    input,
    maxBuffer: 2 ** 26,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC' },
  });

/** Lines of both, sorted, so that a difference is readable. */
const assertSame = (found: Survey, wanted: Survey): void =>
  assert.deepEqual([...found.values()].sort(), [...wanted.values()].sort());

interface Format extends Precision {
  readonly name: string;
  readonly tool: 'tar' | 'bsdtar';
  readonly options: readonly string[];
  readonly extreme?: boolean;
  /** What this tool cannot write. */
  readonly without?: readonly string[];
}

const XATTRS = ['--xattrs', '--xattrs-include=*'];
const FORMATS: readonly Format[] = [
  { name: 'V7', tool: 'tar', options: ['--format=v7'], without: ['dev'] },
  { name: 'ustar', tool: 'tar', options: ['--format=ustar'] },
  { name: 'GNU', tool: 'tar', options: ['--format=gnu'], extreme: true },
  { name: 'old GNU', tool: 'tar', options: ['--format=oldgnu', '--sparse'], extreme: true },
  { name: 'sparse GNU', tool: 'tar', options: ['--format=gnu', '--sparse'], extreme: true },
  {
    name: 'pax',
    tool: 'tar',
    options: ['--format=posix', ...XATTRS],
    extreme: true,
    nanoseconds: true,
    xattrs: true,
  },
  ...['0.0', '0.1', '1.0'].map(
    (version): Format => ({
      name: `pax with sparse files ${version}`,
      tool: 'tar',
      options: ['--format=posix', '--sparse', `--sparse-version=${version}`, ...XATTRS],
      extreme: true,
      nanoseconds: true,
      xattrs: true,
    }),
  ),
  {
    name: 'pax',
    tool: 'bsdtar',
    options: ['--format=pax', '--xattrs', '--no-acls'],
    // It writes -1.75 seconds as -2.25.
    without: ['etc/before'],
    extreme: true,
    nanoseconds: true,
    xattrs: true,
  },
  {
    name: 'GNU',
    tool: 'bsdtar',
    options: ['--format=gnutar', '--no-xattrs'],
    // It has no times before 1970 in this format.
    without: ['etc/before'],
    extreme: true,
  },
  { name: 'ustar', tool: 'bsdtar', options: ['--format=ustar', '--no-xattrs'] },
];

for (const format of FORMATS)
  test(
    `an archive of format ${format.name} by ${format.tool} is read exactly`,
    { skip: needs('root', format.tool) },
    () => {
      using source = new Directory();
      populate(source, format.extreme ?? false);
      if (format.nanoseconds) populatePax(source.fd);
      for (const name of format.without ?? []) rmSync(join(source.path, name), { recursive: true });
      const options = [...format.options, '--numeric-owner', '-C', source.path];
      const archive = run(format.tool, [...options, '-cf', '-', '.']);
      assertSame(surveyArchive(archive), surveyDirectory(source, format));
    },
  );

/** The members of a directory as an archive, and what must come out of it. */
function rewritten(archive: Buffer): Buffer {
  const chunks: Uint8Array[] = [];
  const writer = new TarWriter((chunk) => chunks.push(chunk));
  for (const { entry, content } of readAll(archive)) {
    writer.entry(entry);
    writer.data(content);
  }
  writer.finish();
  return Buffer.concat(chunks);
}

const EXTRACTORS: readonly (readonly [tool: 'tar' | 'bsdtar', options: readonly string[]])[] = [
  ['tar', XATTRS],
  ['bsdtar', ['--xattrs', '--no-acls']],
];
for (const [tool, options] of EXTRACTORS)
  test(
    `what is written is extracted by ${tool} as it was`,
    { skip: needs('root', 'tar', tool) },
    () => {
      using source = new Directory();
      using target = new Directory();
      const precision = { nanoseconds: true, xattrs: true };
      populate(source, true);
      populatePax(source.fd);
      if (tool === 'bsdtar') {
        // It reads -1.75 seconds as -0.25, and leaves names of attributes as GNU tar escapes them.
        rmSync(join(source.path, 'etc/before'));
        for (const name of ['user.a=b', 'user.50%25'])
          removeXattr({ dirfd: source.fd, name: 'bin/tool' }, name);
      }
      const pax = ['--format=posix', '--sparse', ...XATTRS];
      const made = rewritten(run('tar', [...pax, '-C', source.path, '-cf', '-', '.']));
      run(tool, ['-xpf', '-', '--numeric-owner', ...options, '-C', target.path], made);
      assertSame(surveyDirectory(target, precision), surveyDirectory(source, precision));
    },
  );

test(
  'what is written is listed by GNU tar as what it was made of',
  { skip: needs('root', 'tar') },
  () => {
    using source = new Directory();
    populate(source, true);
    populatePax(source.fd);
    const archive = run('tar', ['--format=posix', '-C', source.path, '-cf', '-', '.']);
    const list = (bytes: Buffer): string =>
      run('tar', ['-tvf', '-', '--full-time', '--numeric-owner'], bytes).toString('latin1');
    assert.equal(list(rewritten(archive)), list(archive));
  },
);

test(
  'access control lists that bsdtar writes are those of the kernel',
  { skip: needs('root', 'bsdtar', 'setfacl') },
  () => {
    using source = new Directory();
    mkdirSync(join(source.path, 'd'));
    run('setfacl', ['-m', 'u:1000:rwx,g:2000:r-x', join(source.path, 'd')]);
    run('setfacl', ['-d', '-m', 'u:3000:r--', join(source.path, 'd')]);
    const options = ['--format=pax', '--acls', '--numeric-owner', '-C', source.path];
    const archive = run('bsdtar', [...options, '-cf', '-', '.']);
    const precision = { nanoseconds: true, xattrs: true };
    assertSame(surveyArchive(archive), surveyDirectory(source, precision));
  },
);
