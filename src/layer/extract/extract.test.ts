import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MicaError } from '../../errors.ts';
import type { LayerForm } from '../../snapshot/driver.ts';
import * as at from '../../sys/at.ts';
import { toBytes } from '../../sys/byte-string.ts';
import { performMounts } from '../../sys/mount.ts';
import { setXattr } from '../../sys/xattr.ts';
import { describeDirectory } from '../../testing/describe.ts';
import { needs } from '../../testing/need.ts';
import * as t from '../../testing/tree.ts';
import { jobOf, overlayOf, unpackStack } from '../../testing/unpack-stack.ts';
import { Available } from '../available.ts';
import { unpackLayer } from '../unpack-layer.ts';
import { Extraction } from './extract.ts';

const skip = needs('root');
const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'extract-'));

const make = (...path: string[]): string => {
  const full = join(...path);
  mkdirSync(full, { recursive: true });
  return full;
};

/** Access control list: user::rwx, user:1000:r--, group::r-x, mask::rwx, other::r--. */
const ACL = Buffer.from(
  '0200000001000700ffffffff02000400e803000004000500ffffffff10000700ffffffff20000400ffffffff',
  'hex',
);
/** cap_net_bind_service=ep, with the effective bit. */
const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');

/** What layers hold, and a bit more. */
const EVERYTHING: t.Tree = t.tree([
  ['', t.dir({ mode: 0o711, mtime: -7, mtimeNs: 5 })],
  ['d', t.dir({ mode: 0o1777, uid: 12, gid: 70_000, mtime: -1, mtimeNs: 999_999_999 })],
  ['d/setgid', t.dir({ mode: 0o2755, gid: 50 })],
  ['d/setgid/inherits-nothing', t.file('x')],
  ['d/closed', t.dir({ mode: 0 })],
  ['d/closed/secret', t.file('x', { mode: 0 })],
  ['bin', t.dir()],
  ['bin/su', t.file('#!', { mode: 0o6755, uid: 1, gid: 2, mtime: 3, mtimeNs: 123_456_789 })],
  ['bin/ping', t.file('x', { mode: 0o755, xattrs: { 'security.capability': CAPABILITY } })],
  ['bin/second', t.hardlink('bin/su')],
  ['acl', t.file('x', { mode: 0o774, xattrs: { 'system.posix_acl_access': ACL } })],
  ['acl.d', t.dir({ xattrs: { 'system.posix_acl_default': ACL, 'user.note': 'a' } })],
  ['acl.d/no-acl', t.file('x', { mode: 0o640 })],
  ['hole', t.sparse(3_000_000, { 0: 'begin'.padEnd(512), 1_048_576: 'middle'.padEnd(4096) })],
  ['empty', t.file()],
  ['large', t.file(Buffer.alloc(700_001, 'mica'))],
  ['link', t.link('/etc/../nowhere', { uid: 5, gid: 6, mtime: 7, mtimeNs: 8, mode: 0o777 })],
  ['link2', t.hardlink('link')],
  ['fifo', t.fifo({ mode: 0o622, uid: 9, xattrs: { 'trusted.x': 'on a fifo' } })],
  ['null', t.char(1, 3, { mode: 0o666, gid: 3 })],
  ['disk', t.block(259, 70_000, { mode: 0o660 })],
  [Buffer.from([0x62, 0xff, 0x0a]), t.file('not UTF-8')],
  ['n'.repeat(255), t.file('x', { mtime: 5_000_000_000 })],
  [`${'long'.repeat(60)}/${'long'.repeat(60)}/name`, t.file('x')],
]);

const QUIET = { stdio: 'pipe' } as const;
const GNU = ['--xattrs', '--xattrs-include=*', '--acls', '-p', '--same-owner', '--numeric-owner'];

/** GNU tar takes access control lists from records of its own only. */
const isAcl = ({ name }: t.Member): boolean => name.startsWith('acl');

const seen = (path: string): string[] => describeDirectory(toBytes(path)).split('\n');

for (const form of ['overlay', 'userxattr', 'direct'] as const)
  test(
    `files have every attribute that GNU tar gives them (${form})`,
    { skip: needs('root', 'tar') },
    async () => {
      await using dir = await scratch();
      const tar = t.tarOf(EVERYTHING.filter((member) => !isAcl(member)));
      writeFileSync(join(dir.path, 'archive'), tar);
      const gnu = make(dir.path, 'gnu');
      execFileSync('tar', ['-x', ...GNU, '-f', join(dir.path, 'archive'), '-C', gnu], QUIET);
      const [layer] = await unpackStack([tar], form, dir.path);
      assert.deepEqual(seen(join(layer!.directory, 'fs')), seen(gnu));
    },
  );

for (const form of ['overlay', 'userxattr', 'direct'] as const)
  test(
    `what GNU tar archives comes out as it was (${form})`,
    { skip: needs('root', 'tar') },
    async () => {
      await using dir = await scratch();
      const [source] = await unpackStack([t.tarOf(EVERYTHING)], 'overlay', make(dir.path, 'a'));
      const archive = join(dir.path, 'archive');
      const files = join(source!.directory, 'fs');
      execFileSync(
        'tar',
        ['-c', '--format=posix', '--sparse', ...GNU, '-f', archive, '-C', files, '.'],
        QUIET,
      );
      const [layer] = await unpackStack([readFileSync(archive)], form, make(dir.path, 'b'));
      assert.deepEqual(seen(join(layer!.directory, 'fs')), seen(files));
    },
  );

test('the holes of a sparse file take no space', { skip }, async () => {
  await using dir = await scratch();
  const tar = t.tarOf(t.tree({ a: t.sparse(1 << 30, { 0: 'x', [1 << 29]: 'y' }) }));
  const [layer] = await unpackStack([tar], 'overlay', dir.path);
  const { size, blocks } = lstatSync(join(layer!.directory, 'fs/a'));
  assert.equal(size, 1 << 30);
  assert.ok(blocks * 512 < 1 << 20);
});

test(
  "modes are exact whatever the umask, the store's group and its default ACL",
  { skip },
  async () => {
    await using dir = await scratch();
    const directory = make(dir.path, 'layer');
    const fd = at.openat(at.AT_FDCWD, toBytes(directory), at.O_RDONLY | at.O_DIRECTORY);
    setXattr(fd, 'system.posix_acl_default', ACL);
    at.fchownat(at.AT_FDCWD, toBytes(directory), 0, 1234);
    at.fchmodat(at.AT_FDCWD, toBytes(directory), 0o2777);
    at.close(fd);
    const tar = t.tarOf(
      t.tree({ 'a/f': t.file('x', { mode: 0o666 }), 'a/g': t.fifo({ mode: 0o777 }) }),
    );
    const before = process.umask(0o077);
    try {
      await unpackLayer(jobOf(tar, 'overlay', directory), {
        available: Available.complete(tar.length),
      });
    } finally {
      process.umask(before);
    }
    const lines = describeDirectory(toBytes(join(directory, 'fs')))
      .split('\n')
      .map((line) => line.split('\t'));
    assert.deepEqual(
      lines.map(([path, , mode, owner, , , , , xattrs]) => [path, mode, owner, xattrs]),
      [
        ['/', '755', '0:0', ''],
        ['/a', '755', '0:0', ''],
        ['/a/f', '666', '0:0', ''],
        ['/a/g', '777', '0:0', ''],
      ],
    );
  },
);

const MARKS: readonly [form: LayerForm, expected: readonly string[]][] = [
  ['overlay', ['/b: trusted.overlay.opaque', '/c: trusted.overlay.origin']],
  ['userxattr', ['/b: user.overlay.opaque', '/c: user.overlay.origin']],
];

for (const [form, expected] of MARKS)
  test(`deletions are spelled as an overlay reads them (${form})`, { skip }, async () => {
    await using dir = await scratch();
    const tar = t.tarOf(
      t.tree({
        a: t.whiteout(),
        b: t.dir({ opaque: true }),
        'b/f': t.file(),
        c: t.dir(),
        'c/d': t.whiteout(),
      }),
    );
    const [layer] = await unpackStack([tar], form, dir.path);
    const lines = describeDirectory(toBytes(join(layer!.directory, 'fs')))
      .split('\n')
      .map((line) => line.split('\t'));
    assert.deepEqual(
      lines
        .filter(([, , , , , , , , xattrs]) => xattrs !== '')
        .map(([path, , , , , , , , xattrs]) => `${path}: ${xattrs!.split('=')[0]}`),
      ['/: '.concat(`${form === 'overlay' ? 'trusted' : 'user'}.overlay.origin`), ...expected],
    );
    const { result } = layer!;
    assert.deepEqual(
      [result.stats.whiteouts, result.stats.opaques, result.stats.entries],
      [2, 1, 3],
    );
    for (const name of ['a', 'c/d'])
      assert.equal(lstatSync(join(layer!.directory, 'fs', name)).rdev, 0);
  });

for (const form of ['overlay', 'userxattr'] as const)
  test(
    `a whiteout of nothing is not listed where only its layer has the directory (${form})`,
    { skip: needs('overlay') },
    async () => {
      await using dir = await scratch();
      const layers = [
        { a: t.dir(), 'a/none': t.whiteout(), 'a/f': t.file() },
        { b: t.dir({ opaque: true }), 'b/none': t.whiteout(), 'b/f': t.file() },
      ];
      const tars = layers.map((layer) => t.tarOf(t.tree(layer)));
      const unpacked = await unpackStack(tars, form, dir.path);
      const view = overlayOf(unpacked, make(dir.path, 'bottom'));
      const options = [...(form === 'userxattr' ? ['userxattr'] : []), ...view.options];
      await using mounted = await performMounts([{ ...view, options }], make(dir.path, 'merged'));
      for (const name of ['a', 'b'])
        assert.deepEqual(readdirSync(join(mounted.target, name)), ['f']);
    },
  );

for (const form of ['overlay', 'direct'] as const)
  test(
    `a directory that was replaced and made anew is the new one (${form})`,
    { skip },
    async () => {
      await using dir = await scratch();
      const again = t.tree(
        [
          ['a', t.dir()],
          ['a/b', t.dir()],
          ['a/b/old', t.file()],
          ['a', t.file()],
          ['a', t.dir()],
          ['a/b', t.dir()],
          ['a/b/new', t.file()],
          ['a/h', t.hardlink('a/b/new')],
        ],
        { parents: 'omit' },
      );
      const [layer] = await unpackStack([t.tarOf(again)], form, dir.path);
      const paths = seen(join(layer!.directory, 'fs')).map((line) => line.split('\t')[0]);
      assert.deepEqual(paths, ['/', '/a', '/a/b', '/a/b/new', '/a/h']);
    },
  );

for (const form of ['overlay', 'direct'] as const)
  test(
    `a hard link to a lower file has its content and attributes (${form})`,
    { skip },
    async () => {
      await using dir = await scratch();
      const content = Buffer.alloc(100_000, 'lower');
      const attributes = { mode: 0o4750, uid: 3, mtimeNs: 4, xattrs: { 'user.a': '1' } };
      const base = t.tree({
        'd/f': t.file(content, attributes),
        hole: t.sparse(1 << 20, { 4096: 'x' }),
      });
      const layer = t.tree({ h: t.hardlink('d/f'), s: t.hardlink('hole') }, { parents: 'omit' });
      const layers = await unpackStack([base, layer].map(t.tarOf), form, dir.path);
      const lines = seen(join(layers[1]!.directory, 'fs'));
      const lower = seen(join(layers[0]!.directory, 'fs')).find((line) => line.startsWith('/d/f'));
      // Both names are in the layer now.
      assert.ok(lines.includes(lower!.replace('\t1\t', '\t2\t')), lower);
      const h = lines.find((line) => line.startsWith('/h'));
      assert.match(h!, /= \/d\/f/);
      const copy = readFileSync(join(layers[1]!.directory, 'fs/s'));
      assert.deepEqual([copy.length, copy[4096]], [1 << 20, 0x78]);
    },
  );

test(
  "an opaque mark after a directory's content prunes at every level (direct)",
  { skip },
  async () => {
    await using dir = await scratch();
    const base = t.tree({
      'd/own/lower': t.file(),
      'd/own/deep/lower': t.file(),
      'd/lower': t.file(),
    });
    const layer = t.tree({
      'd/own/deep/upper': t.file(),
      'd/own/whited': t.whiteout(),
      'd/.wh..wh..opq': t.file(),
    });
    const layers = await unpackStack([base, layer].map(t.tarOf), 'direct', dir.path);
    const paths = seen(join(layers[1]!.directory, 'fs')).map((line) => line.split('\t')[0]);
    assert.deepEqual(paths, ['/', '/d', '/d/own', '/d/own/deep', '/d/own/deep/upper']);
  },
);

test(
  'on copied parents, deletions delete and attributes of the old are gone',
  { skip },
  async () => {
    await using dir = await scratch();
    const base = t.tree({
      gone: t.dir(),
      'gone/x': t.file(),
      kept: t.dir({
        xattrs: { 'user.old': '1', 'system.posix_acl_default': ACL },
        mode: 0o2777,
        gid: 7,
      }),
      'kept/lower': t.file(),
      opaque: t.dir(),
      'opaque/sub/lower': t.file(),
      'opaque/own/lower': t.file(),
      file: t.file('old'),
      hard: t.hardlink('file'),
      link: t.link('/'),
    });
    const layer = t.tree({
      gone: t.whiteout(),
      kept: t.dir({ mode: 0o755, xattrs: { 'user.new': '1' } }),
      'kept/upper': t.file('', { mode: 0o600 }),
      opaque: t.dir({ opaque: true }),
      'opaque/own': t.dir(),
      'opaque/own/upper': t.file(),
      file: t.dir(),
      'file/inside': t.file(),
      link: t.file('no link any more'),
    });
    const layers = await unpackStack([base, layer].map(t.tarOf), 'direct', dir.path);
    const lines = describeDirectory(toBytes(join(layers[1]!.directory, 'fs')), { root: false })
      .split('\n')
      .map((line) => line.split('\t'));
    assert.deepEqual(
      lines.map(([path, type, mode, owner, , , , , xattrs]) =>
        [path, type, mode, owner, xattrs].join(' ').trim(),
      ),
      [
        '/file directory 755 0:0',
        '/file/inside file 644 0:0',
        '/hard file 644 0:0',
        '/kept directory 755 0:0 user.new=31',
        '/kept/lower file 644 0:0',
        '/kept/upper file 600 0:0',
        '/link file 644 0:0',
        '/opaque directory 755 0:0',
        '/opaque/own directory 755 0:0',
        '/opaque/own/upper file 644 0:0',
      ],
    );
  },
);

test('a layer that was applied in part is not applied a second time', { skip }, async () => {
  await using dir = await scratch();
  const directory = make(dir.path, 'layer');
  const good = t.tarOf(t.tree({ a: t.file() }));
  const bad = t.tarOf(t.tree({ a: t.file(), '.wh.': t.file() }));
  const apply = (tar: Buffer): Promise<unknown> =>
    unpackLayer(
      { ...jobOf(tar, 'direct', directory), parents: [] },
      { available: Available.complete(tar.length) },
    );
  await assert.rejects(apply(bad), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(apply(good), { code: 'FAILED_PRECONDITION' });
});

test('unpacking again begins anew', { skip }, async () => {
  await using dir = await scratch();
  const directory = make(dir.path, 'layer');
  for (const name of ['a', 'b']) {
    const tar = t.tarOf(t.tree({ [name]: t.file() }));
    await unpackLayer(jobOf(tar, 'overlay', directory), {
      available: Available.complete(tar.length),
    });
  }
  assert.deepEqual(readdirSync(join(directory, 'fs')), ['b']);
});

test('a directory whose mode cannot be set is not kept open', { skip: needs('linux') }, () => {
  const attempt = (): void =>
    assert.throws(() => new Extraction('/proc/self/task', { form: 'overlay' }), MicaError);
  const open = (): number => readdirSync('/proc/self/fd').length;
  attempt();
  const before = open();
  for (let round = 0; round < 50; round++) attempt();
  assert.ok(open() < before + 25, `${before} descriptors, then ${open()}`);
});
