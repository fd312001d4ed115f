import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  END,
  expanded,
  header,
  member,
  padded,
  pax,
  paxBody,
  readAll,
  readOne,
  signed,
  special,
} from '../testing/hand-made-tar.ts';
import { BLOCK, checksumOf } from './header.ts';

const GNU = 'ustar  \0';
const V7 = '';
const octal = (text: string, offset: number) => (block: Buffer) =>
  void block.write(text, offset, 'latin1');

const names = (archive: Buffer): string[] => readAll(archive).map(({ entry }) => entry.name);

test('a name of ustar is its prefix, a slash and its name', () => {
  const { entry } = readOne(header({ name: 'file', patch: octal('some/directory', 345) }));
  assert.equal(entry.name, 'some/directory/file');
});

test("star's prefix is shorter, its times lie behind it", () => {
  const patch = (block: Buffer): void => {
    octal('p'.repeat(131), 345)(block);
    octal('12345670123\x0012345670123\0', 476)(block);
    octal('tar\0', 508)(block);
  };
  assert.equal(readOne(header({ patch })).entry.name, `${'p'.repeat(131)}/f`);
});

test('GNU and V7 headers have no prefix, but other things in its place', () => {
  for (const magic of [GNU, V7])
    assert.equal(
      readOne(header({ magic, patch: octal('01234567012\x0001234567012\0', 345) })).entry.name,
      'f',
    );
  const binary = (block: Buffer): void => void block.writeUInt32BE(0x8000_0001, 345);
  assert.equal(readOne(header({ magic: GNU, patch: binary })).entry.name, 'f');
});

test('a prefix in a GNU header, as Go before 1.8 wrote it, is a prefix', () => {
  const patch = octal('usr/share/directory', 345);
  assert.equal(readOne(header({ magic: GNU, patch })).entry.name, 'usr/share/directory/f');
});

test('long names and targets of GNU replace those of the header', () => {
  const [name, target] = ['n'.repeat(300), 't'.repeat(300)];
  const { entry } = readOne(
    special('L', `${name}\0`),
    special('K', `${target}\0garbage`),
    header({ type: '2', linkName: 'short', magic: GNU }),
  );
  assert.deepEqual([entry.name, entry.linkName], [name, target]);
});

test('what an extended header says holds for one member only', () => {
  const archive = Buffer.concat([
    pax('path=long', 'uid=5'),
    special('L', 'longer\0'),
    header({ name: 'a' }),
    header({ name: 'b' }),
    END,
  ]);
  const seen = readAll(archive).map(({ entry: { name, uid } }) => [name, uid]);
  assert.deepEqual(seen, [
    ['longer', 5],
    ['b', 0],
  ]);
});

test('global headers and volume names change nothing', () => {
  const archive = Buffer.concat([
    special('g', paxBody('path=evil', 'uid=7', 'comment=a commit')),
    header({ name: 'volume', type: 'V' }),
    special('A', 'an access control list of Solaris'),
    member('a'),
    END,
  ]);
  const [{ entry }] = readAll(archive) as [ReturnType<typeof readOne>];
  assert.deepEqual([entry.name, entry.uid], ['a', 0]);
});

test("an extended header of Solaris is one of pax's", () => {
  assert.equal(readOne(special('X', paxBody('path=sun')), header()).entry.name, 'sun');
});

const NUMBERS: readonly (readonly [title: string, field: number[], value: number])[] = [
  ['octal and NUL', [...Buffer.from('0000017\0')], 15],
  ['octal without an end', [...Buffer.from('00000017')], 15],
  ['octal after spaces', [...Buffer.from('    17 \0')], 15],
  ['octal and garbage behind a NUL', [...Buffer.from('17\0 rest')], 15],
  ['nothing', [0, 0, 0, 0, 0, 0, 0, 0], 0],
  ['spaces', [...Buffer.from('        ')], 0],
  ['base 256', [0x80, 0, 0, 0, 0xee, 0x6b, 0x28, 0], 4_000_000_000],
];
for (const [title, field, value] of NUMBERS)
  test(`an id of ${title} is ${value}`, () => {
    const patch = (block: Buffer): void => block.set(field, 108);
    assert.equal(readOne(header({ magic: GNU, patch })).entry.uid, value);
  });

test('times before 1970 may be negative in base 256', () => {
  const patch = (block: Buffer): void => void block.fill(0xff, 136, 148);
  assert.equal(readOne(header({ magic: GNU, patch })).entry.mtime, -1);
});

const TIMES: readonly (readonly [text: string, seconds: number, nanoseconds: number])[] = [
  ['1', 1, 0],
  ['1.5', 1, 500_000_000],
  ['1.000000001', 1, 1],
  ['1.0000000019', 1, 1],
  ['0.', 0, 0],
  ['-1', -1, 0],
  ['-1.5', -2, 500_000_000],
  ['-0.000000001', -1, 999_999_999],
  ['-1.0000000001', -2, 999_999_999],
  ['-1.9999999999', -2, 0],
  ['-0', 0, 0],
  ['9007199254740991.999999999', 9_007_199_254_740_991, 999_999_999],
];
for (const [text, seconds, nanoseconds] of TIMES)
  test(`an mtime of ${text} is ${seconds} s and ${nanoseconds} ns, rounded down`, () => {
    const { entry } = readOne(pax(`mtime=${text}`), header());
    assert.deepEqual([entry.mtime, entry.mtimeNs], [seconds, nanoseconds]);
  });

test('records beat the header, the last of a kind wins, an empty one takes it back', () => {
  const { entry } = readOne(
    pax('path=a', 'uid=1', 'uid=2', 'gid=3', 'path=', 'gid=', 'size=2', 'comment=x=y\nz'),
    header({ name: 'own', size: 9 }),
    padded('ab'),
  );
  assert.deepEqual([entry.name, entry.uid, entry.gid, entry.dataSize], ['own', 2, 0, 2]);
});

test('names are bytes, newlines and bytes above 127 included', () => {
  const name = '\xff\xfe\n\xc3\xbc= ';
  assert.equal(readOne(header({ name })).entry.name, name);
  assert.equal(readOne(pax('hdrcharset=BINARY', `path=${name}`), header()).entry.name, name);
});

test('an extended header may be filled up with NULs', () => {
  const body = `${paxBody('path=a')}\0\0\0`;
  assert.equal(readOne(special('x', body), header()).entry.name, 'a');
});

test('extended attributes are what GNU tar, star and bsdtar mean', () => {
  const { entry } = readOne(
    pax(
      'LIBARCHIVE.xattr.user.note=bm90ZQ',
      'LIBARCHIVE.xattr.user.%C3%BC=AP8',
      'SCHILY.xattr.user.note=note',
      'SCHILY.xattr.user.%C3%BC=\0\xff',
      'SCHILY.xattr.user.a%3Db%25=\0=\n',
      'SCHILY.xattr.user.empty=',
      'RHT.security.selinux=system_u:object_r:bin_t:s0',
      'SCHILY.acl.access=u::rw-,g::r--,o::r--',
      'SCHILY.acl.default=u::rwx,g::r-x,o::r-x',
      'SCHILY.fflags=nodump',
    ),
    header(),
  );
  const found = entry.xattrs?.map(({ name, value }) => [name, Buffer.from(value).toString('hex')]);
  assert.deepEqual(found, [
    ['user.note', '6e6f7465'],
    ['user.\xc3\xbc', '00ff'],
    ['user.a=b%', '003d0a'],
    ['user.empty', ''],
    ['security.selinux', Buffer.from('system_u:object_r:bin_t:s0\0').toString('hex')],
    ['system.posix_acl_default', '0200000001000700ffffffff04000500ffffffff20000500ffffffff'],
  ]);
});

test('an access control list in the form of the kernel counts more than one in text', () => {
  const value = '\x02\0\0\0';
  for (const order of [0, 1]) {
    const records = [
      'SCHILY.acl.access=u::rw-,u:1:r--,g::r--,m::r--,o::---',
      `SCHILY.xattr.system.posix_acl_access=${value}`,
    ];
    const { entry } = readOne(pax(...(order ? records.reverse() : records)), header());
    assert.deepEqual(
      entry.xattrs?.map((xattr) => Buffer.from(xattr.value).toString('latin1')),
      [value],
    );
  }
});

test('the mode of a file with an access control list is what the kernel makes of the list', () => {
  const acl = 'SCHILY.acl.access=u::rwx,u:1:rwx,g::r--,m::rwx,o::--x';
  const { entry } = readOne(pax(acl), header({ patch: octal('0004741\0', 100) }));
  assert.equal(entry.mode.toString(8), '4771');
});

const TYPES: readonly (readonly [type: string, name: string, wanted: string])[] = [
  ['\0', 'old', 'file'],
  ['\0', 'old/', 'directory'],
  ['0', 'odd/', 'file'],
  ['7', 'contiguous', 'file'],
  ['3', 'console', 'char'],
  ['4', 'disk', 'block'],
  ['5', 'directory', 'directory'],
  ['6', 'pipe', 'fifo'],
];
for (const [type, name, wanted] of TYPES)
  test(`${JSON.stringify(name)} of type ${JSON.stringify(type)} is a ${wanted}`, () => {
    assert.equal(readOne(header({ name, type })).entry.type, wanted);
  });

test('devices have their numbers, in the header or beside it; other members have none', () => {
  const patch = octal('0000010\x000000003\0', 329);
  const { entry } = readOne(header({ type: '3', patch }));
  assert.deepEqual([entry.deviceMajor, entry.deviceMinor], [8, 3]);
  const wide = readOne(pax('SCHILY.devminor=3000000'), header({ type: '4', patch })).entry;
  assert.deepEqual([wide.deviceMajor, wide.deviceMinor], [8, 3_000_000]);
  const file = readOne(header({ patch })).entry;
  assert.deepEqual([file.deviceMajor, file.deviceMinor], [0, 0]);
});

const SIZED: readonly (readonly [type: string, what: string])[] = [
  ['1', 'a hard link'],
  ['2', 'a symbolic link'],
  ['5', 'a directory'],
];
for (const [type, what] of SIZED) {
  test(`${what} with a size but no data is followed by the next member`, () => {
    const archive = Buffer.concat([header({ name: 'a', type, size: 1000 }), member('b'), END]);
    assert.deepEqual(names(archive), ['a', 'b']);
  });

  test(`${what} with data is followed by the member after them`, () => {
    for (const size of [1, 1000, 5000]) {
      const data = padded('x'.repeat(size));
      const archive = Buffer.concat([header({ name: 'a', type, size }), data, member('b'), END]);
      assert.deepEqual(names(archive), ['a', 'b']);
      const [{ entry }] = readAll(archive) as [ReturnType<typeof readOne>];
      assert.deepEqual([entry.size, entry.dataSize], [0, 0]);
    }
  });
}

test("the names in a GNU incremental archive's directories are no members", () => {
  const archive = Buffer.concat([
    header({ name: 'd/', type: 'D', size: 600, magic: GNU }),
    signed(Buffer.from(member('looks like a member'))),
    Buffer.alloc(BLOCK),
    member('a'),
    END,
  ]);
  assert.deepEqual(names(archive), ['d/', 'a']);
});

test('checksums of signed bytes are right, too', () => {
  const block = header({ name: 'caf\xe9' });
  const sum = checksumOf(block) - 256;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  assert.equal(readOne(block).entry.name, 'caf\xe9');
});

test('the end marker may be missing, or be one block; what follows two is not looked at', () => {
  const one = member('a', 'content');
  const zeros = Buffer.alloc(BLOCK);
  assert.deepEqual(names(one), ['a']);
  assert.deepEqual(names(Buffer.concat([one, zeros])), ['a']);
  assert.deepEqual(names(Buffer.concat([one, END, Buffer.from('garbage')])), ['a']);
  assert.deepEqual(names(Buffer.concat([one, END, member('b')])), ['a']);
  assert.deepEqual(names(Buffer.alloc(0)), []);
  assert.deepEqual(names(END), []);
});

const CONTENT = 'abcdefgh';
const HOLEY = `..abcd..${'.'.repeat(20)}efgh....`.replaceAll('.', '\0');
const MAP = '2,4,28,4';
const PAIRS = ['offset=2', 'numbytes=4', 'offset=28', 'numbytes=4'];

const SPARSE: readonly (readonly [format: string, archive: () => Buffer])[] = [
  [
    'pax 0.0',
    () =>
      Buffer.concat([
        pax('GNU.sparse.size=36', ...PAIRS.map((pair) => `GNU.sparse.${pair}`)),
        header({ name: 's', size: 8 }),
      ]),
  ],
  [
    'pax 0.1',
    () =>
      Buffer.concat([
        pax('GNU.sparse.name=s', 'GNU.sparse.size=36', `GNU.sparse.map=${MAP}`),
        header({ name: 'GNUSparseFile.1/s', size: 8 }),
      ]),
  ],
  [
    'pax 1.0',
    () =>
      Buffer.concat([
        pax(
          'GNU.sparse.major=1',
          'GNU.sparse.minor=0',
          'GNU.sparse.name=s',
          'GNU.sparse.realsize=36',
          'path=ignored',
        ),
        header({ name: 'GNUSparseFile.1/s', size: BLOCK + 8 }),
        padded(`2\n${MAP.replaceAll(',', '\n')}\n`),
      ]),
  ],
  [
    'GNU',
    () => {
      const map = [2, 4, 28, 4].map((number) => `${number.toString(8).padStart(11, '0')}\0`);
      const patch = (block: Buffer): void => {
        octal(map.join(''), 386)(block);
        octal('00000000044\0', 483)(block);
      };
      return header({ name: 's', type: 'S', size: 8, magic: GNU, patch });
    },
  ],
];
for (const [format, archive] of SPARSE)
  test(`a sparse file of format ${format} has its runs and holes`, () => {
    const seen = readOne(archive(), padded(CONTENT));
    assert.deepEqual([seen.entry.name, seen.entry.size, seen.entry.dataSize], ['s', 36, 8]);
    assert.equal(seen.entry.sparse?.length, 2);
    assert.equal(expanded(seen).toString('latin1'), HOLEY);
    assert.equal(seen.entry.dataOffset, archive().length);
  });

test('of two sparse maps the last one counts', () => {
  const seen = readOne(
    pax('GNU.sparse.size=36', 'GNU.sparse.map=0,8', `GNU.sparse.map=${MAP}`),
    header({ size: 8 }),
    padded(CONTENT),
  );
  assert.equal(expanded(seen).toString('latin1'), HOLEY);
});

test('records that do not say where data lie make no file sparse', () => {
  const { entry } = readOne(pax('GNU.sparse.numblocks=0'), member('a', 'x'));
  assert.deepEqual([entry.size, entry.sparse], [1, undefined]);
});
