import {
  block,
  char,
  dir,
  fifo,
  file,
  hardlink,
  link,
  MTIME,
  sparse,
  type Tree,
  tree,
  whiteout,
} from '../../src/testing/tree.ts';

/** `cap_net_raw=ep`, as the kernel keeps it: version 2, little-endian. */
const CAP_NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex');

/** `u::rw-, u:1000:rwx, g::r--, m::rwx, o::r--`, as the kernel keeps it. */
const ACL = Buffer.from(
  [
    '02000000',
    '01000600ffffffff',
    '02000700e8030000',
    '04000400ffffffff',
    '10000700ffffffff',
    '20000400ffffffff',
  ].join(''),
  'hex',
);

const NOT_UTF8 = Buffer.from('names/caf\xe9', 'latin1');
const LONG = 'l'.repeat(255);
const DEEP = Array.from({ length: 12 }, () => 'd'.repeat(40)).join('/');

/** Everything a file can be. */
const base: Tree = tree([
  ['', dir({ mode: 0o755, mtime: MTIME + 7 })],
  ['bin/tool', file('#!/bin/sh\n', { mode: 0o4755, mtimeNs: 123_456_789 })],
  // Docker gives the file what its last name says, umoci and GNU tar what its first name says.
  ['bin/tool-again', hardlink('bin/tool', { mode: 0o4755, mtimeNs: 123_456_789 })],
  ['bin/ping', file('ping', { mode: 0o755, xattrs: { 'security.capability': CAP_NET_RAW } })],
  ['bin/setgid', file('x', { mode: 0o2711, uid: 12, gid: 34 })],
  ['tmp', dir({ mode: 0o1777 })],
  ['dev/null', char(1, 3, { mode: 0o666 })],
  ['dev/big', block(259, 70_000, { mode: 0o660, gid: 6 })],
  ['dev/pipe', fifo({ mode: 0o620 })],
  ['etc/acl', file('acl', { mode: 0o674, xattrs: { 'system.posix_acl_access': ACL } })],
  [
    'etc/noted',
    file('noted', {
      xattrs: { 'user.note': 'x=y\nz', 'user.bytes': Buffer.from([0, 255]) },
    }),
  ],
  ['etc/before-1970', file('old', { mtime: -1_000_000_000, mtimeNs: 500_000_000 })],
  ['etc/far', file('far', { mtime: 5_000_000_000 })],
  ['etc/owned', dir({ uid: 100_000, gid: 3_000_000_000, mode: 0o700, xattrs: { 'user.d': '1' } })],
  ['etc/link', link('../bin/tool', { uid: 5, mtime: MTIME - 3 })],
  ['etc/loop', link('loop')],
  ['data/sparse', sparse(3_000_000, { 4096: 'a'.repeat(512), 1_048_576: 'b'.repeat(1024) })],
  ['data/hole', sparse(100_000, {})],
  ['data/empty', file()],
  ['data/big', file(Buffer.alloc(300_000, 'big'))],
  [NOT_UTF8, file('latin1')],
  [`names/${LONG}`, file('long')],
  [`names/${DEEP}/leaf`, file('deep')],
  ['names/ünï', link('ünï-target')],
  ['names/new\nline', file('n')],
  ['gone/file', file('to be deleted')],
  ['gone/keep', file('kept')],
  ['gone-directory/a/b', file('to be deleted')],
  ['opaque/lower', file('hidden')],
  ['opaque/sub/lower', file('hidden')],
  ['swap/file-to-directory', file('f')],
  ['swap/directory-to-file/x', file('x')],
  ['swap/file-to-link', file('f')],
  ['swap/link-to-directory', link('../opaque')],
  ['twins/a', file('twin')],
  ['twins/b', hardlink('twins/a')],
  ['twins/c', hardlink('twins/a')],
]);

/** Every way of hiding and replacing, and nothing that depends on what is below. */
const changes: Tree = tree([
  ['gone', dir({ mode: 0o711, mtime: MTIME + 11 })],
  ['gone/file', whiteout()],
  ['gone-directory', whiteout()],
  ['opaque', dir({ opaque: true, mtime: MTIME + 12 })],
  ['opaque/upper', file('seen')],
  ['swap', dir({ mtime: MTIME + 13 })],
  ['swap/file-to-directory', dir()],
  ['swap/file-to-directory/inside', file('i')],
  ['swap/directory-to-file', file('now a file')],
  ['swap/file-to-link', link('elsewhere')],
  ['swap/link-to-directory', dir()],
  ['swap/link-to-directory/inside', file('i')],
  ['twins', dir({ mtime: MTIME + 14 })],
  // One of three names is replaced; the other two stay one file.
  ['twins/b', file('no twin any more')],
  ['new/one', file('one')],
  ['new/two', hardlink('new/one')],
  ['nothing', dir()],
  ['nothing/there', whiteout()],
]);

/** Comes back after its deletion, and is hidden a second time. */
const again: Tree = tree([
  ['', dir({ mode: 0o751, mtime: MTIME + 20 })],
  ['gone-directory/a', dir({ mtime: MTIME + 21 })],
  ['gone-directory/a/new', file('back')],
  ['opaque', dir({ mtime: MTIME + 22 })],
  ['opaque/sub', dir({ opaque: true })],
  ['opaque/upper', whiteout()],
  ['bin', dir({ mtime: MTIME + 23 })],
  ['bin/ping', file('ping 2', { mode: 0o755 })],
]);

/** The stack whose layers can be unpacked in any order. */
export const independent: readonly Tree[] = [base, changes, again];

/** The same layer in two places, as images have it that repeat a step. */
export const repeated: readonly Tree[] = [base, changes, base, changes];

/** A single layer, and yet one that hides things. */
export const marks: readonly Tree[] = [changes];

/** All that was below is gone. */
export const opaqueRoot: readonly Tree[] = [
  base,
  tree([
    ['', dir({ opaque: true, mtime: MTIME + 30 })],
    ['only', file('this is left')],
  ]),
];

/** Layers that mean something only on those below them. */
export const dependent: readonly Tree[] = [
  tree([
    ['', dir()],
    ['usr/lib/libc.so', file('libc', { mode: 0o755, xattrs: { 'user.soname': 'c' } })],
    ['lib', link('usr/lib')],
    ['absolute', link('/usr/lib')],
    ['private/deep', dir({ mode: 0o700, uid: 33, gid: 44, xattrs: { 'user.kept': 'yes' } })],
    ['private/deep/secret', file('s')],
  ]),
  // Through links of the layer below, and into directories that only it describes.
  tree(
    {
      'lib/libm.so': file('libm'),
      'absolute/libz.so': file('libz'),
      'private/deep/more': file('more'),
      'lib/libc-link.so': hardlink('lib/libc.so'),
    },
    { parents: 'omit' },
  ),
  tree(
    {
      'lib/libm.so': whiteout(),
      'private/deep/secret': whiteout(),
      'lib/libn.so': link('libm.so'),
    },
    { parents: 'omit' },
  ),
];
