import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../oci/digest.ts';
import { padded, readAll } from '../testing/hand-made-tar.ts';
import { BLOCK } from './header.ts';
import { type NewEntry, TarWriter } from './write.ts';

const FILE: NewEntry = {
  type: 'file',
  name: 'f',
  linkName: '',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  mtimeNs: 0,
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: undefined,
  sparse: undefined,
};

function written(entry: Partial<NewEntry>, content = ''): Buffer {
  const chunks: Uint8Array[] = [];
  const writer = new TarWriter((chunk) => chunks.push(chunk));
  writer.entry({ ...FILE, size: content.length, ...entry });
  writer.data(Buffer.from(content, 'latin1'));
  writer.finish();
  return Buffer.concat(chunks);
}

/** Keys and values of the extended header, if there is one. */
function records(archive: Buffer): string[] {
  if (archive.toString('latin1', 156, 157) !== 'x') return [];
  const size = Number.parseInt(archive.toString('latin1', 124, 135), 8);
  const body = archive.toString('latin1', BLOCK, BLOCK + size);
  return [...body.matchAll(/^\d+ (.*)$/gm)].map(([, record]) => record!);
}

test('a header is ustar, with nothing of the machine in it', () => {
  const header = written({ mode: 0o4755, uid: 1000, mtime: 1_600_000_000 }, 'x').subarray(0, BLOCK);
  assert.equal(
    header.toString('latin1').split('\0').filter(Boolean).join('|'),
    'f|0004755|0001750|0000000|00000000001|13727410000|007421| 0|ustar|00|0000000|0000000',
  );
});

test('a file with more attributes than readers take is refused by its name', () => {
  const attributes = (size: number): Partial<NewEntry> => ({
    name: 'dir/large',
    xattrs: [{ name: 'user.x', value: Buffer.alloc(size) }],
  });
  const record = '1048576 SCHILY.xattr.user.x=\n'.length;
  assert.equal(readAll(written(attributes(2 ** 20 - record))).length, 1);
  assert.throws(() => written(attributes(2 ** 20 - record + 1)), {
    code: 'RESOURCE_EXHAUSTED',
    message: /dir\/large/,
  });
});

const PLAIN: readonly (readonly [string, Partial<NewEntry>])[] = [
  ['a name of 100 bytes', { name: 'n'.repeat(100) }],
  ['a name of 100 and 155 bytes', { name: `${'d'.repeat(155)}/${'n'.repeat(100)}` }],
  ['a target of 100 bytes', { type: 'symlink', linkName: 't'.repeat(100) }],
  ['the largest owner', { uid: 0o7777777, gid: 0o7777777 }],
  ['the latest time', { mtime: 0o77777777777 }],
];
for (const [what, entry] of PLAIN)
  test(`${what} fits into a header`, () => {
    assert.deepEqual(records(written(entry)), []);
  });

const EXTENDED: readonly (readonly [string, Partial<NewEntry>, string[]])[] = [
  ['a name of 101 bytes', { name: 'n'.repeat(101) }, [`path=${'n'.repeat(101)}`]],
  [
    'a target that is not UTF-8',
    { type: 'symlink', linkName: '\xff'.repeat(101) },
    ['hdrcharset=BINARY', `linkpath=${'\xff'.repeat(101)}`],
  ],
  ['an owner of 22 bits', { uid: 0o10000000, gid: 1 }, ['uid=2097152']],
  ['a time before 1970', { mtime: -1 }, ['mtime=-1']],
  ['nanoseconds', { mtime: 5, mtimeNs: 250_000_000 }, ['mtime=5.25']],
  ['nanoseconds before 1970', { mtime: -2, mtimeNs: 1 }, ['mtime=-1.999999999']],
  [
    'attributes, sorted and escaped',
    {
      xattrs: [
        { name: 'user.b', value: Buffer.from('2') },
        { name: 'user.a=%', value: Buffer.from('1') },
      ],
    },
    ['SCHILY.xattr.user.a%3D%25=1', 'SCHILY.xattr.user.b=2'],
  ],
];
for (const [what, entry, wanted] of EXTENDED)
  test(`${what} goes into an extended header`, () => {
    assert.deepEqual(records(written(entry)), wanted);
  });

test('a file of 8 GiB has its size in an extended header', () => {
  const chunks: Uint8Array[] = [];
  new TarWriter((chunk) => chunks.push(chunk)).entry({ ...FILE, size: 2 ** 33 });
  assert.deepEqual(records(Buffer.concat(chunks)), ['size=8589934592']);
});

test('the name of a directory ends with a slash', () => {
  const archive = written({ type: 'directory', name: 'd' });
  assert.equal(readAll(archive)[0]!.entry.name, 'd/');
});

test('what GNU tar would begin at a new block is filled up to one', () => {
  const sparse = [
    { offset: 10, length: 3 },
    { offset: 400, length: 5 },
    { offset: 9000, length: 3 },
  ];
  const archive = written({ size: 9003, sparse }, 'abcdefghxyz');
  const { entry, content } = readAll(archive)[0]!;
  assert.deepEqual(entry.sparse, [
    { offset: 10, length: 512 },
    { offset: 9000, length: 3 },
  ]);
  const first = `abc${'\0'.repeat(387)}defgh`;
  assert.ok(content.equals(Buffer.concat([padded(first), Buffer.from('xyz')])));
});

const WRONG: readonly (readonly [string, Partial<NewEntry>, string])[] = [
  ['more data than its size', { size: 1 }, 'xx'],
  ['less data than its size', { size: 3 }, 'xx'],
  ['data of a directory', { type: 'directory' }, 'x'],
  ['no name', { name: '' }, ''],
  ['a NUL in its name', { name: 'a\0b' }, ''],
  ['a negative owner', { uid: -1 }, ''],
  ['a size that is no number', { size: Number.NaN }, ''],
  ['a time that is no number', { mtime: Number.POSITIVE_INFINITY }, ''],
  ['a fractional time', { mtime: 1.5 }, ''],
  ['a device number of 32 bits', { type: 'char', deviceMinor: 2 ** 32 }, ''],
  [
    'overlapping runs',
    {
      size: 10,
      sparse: [
        { offset: 0, length: 5 },
        { offset: 3, length: 5 },
      ],
    },
    'x'.repeat(10),
  ],
];
for (const [what, entry, content] of WRONG)
  test(`a member with ${what} is not written`, () => {
    assert.throws(() => written(entry, content), { code: 'INVALID_ARGUMENT' });
  });

/** Every kind of member, at and over the limits of its header. */
const VARIED: readonly Partial<NewEntry>[] = [
  { name: './', type: 'directory', mode: 0o755 },
  { name: 'a/b/c', mtime: 1_700_000_000, mtimeNs: 123_456_789 },
  { name: 'a/short', mtime: 1_700_000_000, mtimeNs: 120_000_000, uid: 1000, gid: 100 },
  { name: `${'d'.repeat(155)}/${'n'.repeat(100)}`, mode: 0o4755 },
  { name: `${'d'.repeat(156)}/${'n'.repeat(100)}`, mtimeNs: 1 },
  { name: 'caf\xe9', mtime: -2, mtimeNs: 500_000_000 },
  { name: 'caf\xc3\xa9/', type: 'directory', uid: 2 ** 31, gid: 0o10000000 },
  { name: 'link', type: 'link', linkName: 'a/b/c' },
  { name: 'symlink', type: 'symlink', linkName: 't'.repeat(101), mtime: 2 ** 40 },
  { name: 'null', type: 'char', deviceMajor: 1, deviceMinor: 3 },
  { name: 'loop', type: 'block', deviceMajor: 7, deviceMinor: 2 ** 20 - 1 },
  { name: 'fifo', type: 'fifo', mtime: 0o77777777777 },
  { name: 'x=%', xattrs: [{ name: 'user.a=b%', value: Buffer.from([0, 10, 255]) }] },
  { name: 'sparse', size: 4096, sparse: [{ offset: 512, length: 8 }] },
];

test('an archive has the bytes that earlier versions gave it', () => {
  const chunks: Uint8Array[] = [];
  const writer = new TarWriter((chunk) => chunks.push(chunk));
  for (const entry of VARIED) {
    writer.entry({ ...FILE, ...entry });
    if (entry.sparse) writer.data(Buffer.from('some data'.slice(0, 8)));
  }
  writer.finish();
  assert.equal(
    sha256(Buffer.concat(chunks)),
    'sha256:2c885427f4539f64f9d3282aee43cb647e5cd2a81a419b770455e67ee544ad57',
  );
});
