import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { backupStreams, type BackupStream, streamHeader } from './backup-stream.ts';
import { decodeAttributes, encodeAttributes } from './extended-attributes.ts';
import { foldName } from './fold.ts';
import { encodeGoMember, goTimeText } from './go-tar.ts';
import { imagePath, linkTarget } from './image-path.ts';
import { parseWindowsName } from './names.ts';
import { decodeReparsePoint, encodeReparsePoint } from './reparse-point.ts';
import { usersDescriptor } from './security.ts';

const bytes = (text: string): string => Buffer.from(text).toString('latin1');

test('members are written as archive/tar of Go 1.19 writes them', () => {
  // sha256 of what a program of ten lines printed: tar.NewWriter, and for each of these
  // Header{Format: FormatPAX, ModTime, AccessTime, ChangeTime, PAXRecords, …}; a tombstone has a name only.
  const long = '0123456789'.repeat(10);
  const umlauts = 'äöüß'.repeat(14);
  const members: readonly (readonly [
    name: string,
    type: 'file' | 'directory' | 'symlink',
    time: readonly [number, number],
    records: Record<string, string>,
    rest: { data?: string; link?: string; mode: number },
  ])[] = [
    [
      'Files',
      'directory',
      [1_556_668_800, 123_456_700],
      { 'MSWINDOWS.fileattr': '16', 'LIBARCHIVE.creationtime': '1556668800.1234567' },
      { mode: 0o040000 },
    ],
    [
      'Files/a.txt',
      'file',
      [1_556_668_800, 0],
      { 'MSWINDOWS.fileattr': '32' },
      { mode: 0o100000, data: 'hello' },
    ],
    [
      `Files/ü and ${umlauts}/${'x'.repeat(55)}`,
      'file',
      [-5, 500_000_000],
      { 'MSWINDOWS.fileattr': '32' },
      { mode: 0o100000 },
    ],
    [
      `Files/${long.slice(0, 94)}/0123456789`,
      'symlink',
      [1, 1],
      { 'MSWINDOWS.mountpoint': '1' },
      { mode: 0o120000, link: 'C:\\Users\\ü' },
    ],
    [
      `Files/${long}0/b`,
      'directory',
      [8_589_934_592, 0],
      { 'MSWINDOWS.fileattr': '16' },
      { mode: 0o040000 },
    ],
  ];
  const hash = createHash('sha256');
  for (const [name, type, [seconds, nanoseconds], own, { data = '', link, mode }] of members) {
    const mtime = { seconds, nanoseconds };
    const records = new Map([
      ['atime', goTimeText(mtime)],
      ['ctime', goTimeText(mtime)],
      ...Object.entries(own),
    ]);
    const size = data.length;
    hash.update(
      encodeGoMember({
        name: bytes(name),
        type,
        mode,
        size,
        linkName: link && bytes(link),
        mtime,
        records,
      }),
    );
    hash.update(Buffer.concat([Buffer.from(data), Buffer.alloc((512 - (size % 512)) % 512)]));
  }
  const tombstone = {
    name: 'Files/.wh.gone.txt',
    type: 'file',
    mode: 0,
    size: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    records: new Map(),
  } as const;
  hash.update(encodeGoMember(tombstone));
  hash.update(Buffer.alloc(1024));
  assert.equal(
    hash.digest('hex'),
    '8d738af52ca7237f687b88b8050fd993c3a33380b07b3570258941cc615fc925',
  );
});

test("files from elsewhere belong to BUILTIN\\Users, by the descriptor that other tools' layers have", () => {
  assert.equal(
    usersDescriptor().toString('base64'),
    'AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA==',
  );
});

const TARGETS: readonly (readonly [target: string, kernel: string, relative: boolean])[] = [
  ['C:\\Users', '\\??\\C:\\Users', false],
  ['\\\\server\\share', '\\??\\UNC\\server\\share', false],
  ['\\\\?\\Volume{0}\\', '\\??\\Volume{0}\\', false],
  ['..\\other', '..\\other', true],
];
for (const [target, kernel, relative] of TARGETS)
  test(`a link to ${target} is ${kernel} to the kernel, and comes back as it was`, () => {
    const buffer = encodeReparsePoint({ target, isMountPoint: false });
    assert.equal(buffer.readUInt32LE(0), 0xa000000c);
    assert.equal(buffer.readUInt16LE(4), buffer.length - 8);
    assert.equal(buffer.readUInt32LE(16), relative ? 1 : 0);
    assert.equal(buffer.toString('utf16le', 20, 20 + buffer.readUInt16LE(10)), kernel);
    assert.deepEqual(decodeReparsePoint(buffer), { target, isMountPoint: false });
    const junction = encodeReparsePoint({ target, isMountPoint: true });
    assert.equal(junction.readUInt32LE(0), 0xa0000003);
    assert.deepEqual(decodeReparsePoint(junction), { target, isMountPoint: true });
  });

test('a list of extended attributes comes back as it was, aligned to four bytes', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          name: fc.stringMatching(/^[A-Z.$]{1,20}$/),
          value: fc.uint8Array({ maxLength: 50 }).map((value) => Buffer.from(value)),
        }),
        { maxLength: 5 },
      ),
      (attributes) => {
        const list = encodeAttributes(attributes);
        assert.equal(list.length % 4, 0);
        assert.deepEqual(
          decodeAttributes(list).map(({ name, value }) => [name, value.toString('hex')]),
          attributes.map(({ name, value }) => [name, value.toString('hex')]),
        );
      },
    ),
  );
});

test('damaged reparse points and attributes give a coded error, never a hang', () => {
  const codes = new Set(['INVALID_ARGUMENT', 'DATA_LOSS']);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (random) => {
      for (const decode of [decodeReparsePoint, decodeAttributes])
        try {
          decode(Buffer.from(random));
        } catch (error) {
          assert.ok(codes.has((error as { code: string }).code), String(error));
        }
    }),
    { numRuns: 500 },
  );
});

test('streams are found one after the other, and a file cut off anywhere says so', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'streams-'));
  const path = join(dir.path, 'f');
  const whole = Buffer.concat([
    streamHeader(3, 2),
    Buffer.from('sd'),
    streamHeader(1, 5),
    Buffer.from('hello'),
    streamHeader(4, 1, ':s:$DATA'),
    Buffer.from('x'),
  ]);
  const read = (content: Buffer): BackupStream[] => {
    writeFileSync(path, content);
    const fd = openSync(path, 'r');
    try {
      return [...backupStreams(fd, { position: 0, end: content.length, what: 'f' })];
    } finally {
      closeSync(fd);
    }
  };
  assert.deepEqual(
    read(whole).map(({ id, name, start, size }) => [
      id,
      name,
      whole.toString('latin1', start, start + size),
    ]),
    [
      [3, '', 'sd'],
      [1, '', 'hello'],
      [4, ':s:$DATA', 'x'],
    ],
  );
  const ends = new Set([0, 22, 47, whole.length]);
  for (let length = 0; length < whole.length; length++)
    if (!ends.has(length))
      assert.throws(() => read(whole.subarray(0, length)), { code: 'DATA_LOSS' }, String(length));
});

const FOLDED: readonly (readonly [a: string, b: string, same: boolean])[] = [
  ['Windows', 'WINDOWS', true],
  ['Übermut', 'übermut', true],
  ['ÿ', 'Ÿ', true],
  ['straße', 'STRASSE', false],
  ['ı', 'I', false],
  ['ſ', 's', false],
  ['ς', 'Σ', false],
  ['a\u0308', 'ä', false],
];
for (const [a, b, same] of FOLDED)
  test(`${a} and ${b} are ${same ? 'one name' : 'two names'}`, () => {
    assert.equal(foldName(bytes(a)) === foldName(bytes(b)), same);
  });

test('names that are not UTF-8 fold without becoming one another', () => {
  assert.notEqual(foldName('a\xff'), foldName('a\xfe'));
  assert.equal(foldName('a\xff'), foldName('A\xff'));
});

test('a name and its stream are told apart', () => {
  assert.deepEqual(parseWindowsName('Files/a b.txt:Zone.Identifier'), {
    path: 'Files/a b.txt',
    stream: 'Zone.Identifier',
  });
  assert.deepEqual(parseWindowsName('./Files/d/'), { path: 'Files/d', stream: undefined });
});

const PATHS: readonly (readonly [asked: string, path: string])[] = [
  ['C:\\Users\\a', '/Files//Users/a'],
  ['c:', '/Files/'],
  ['/c:/x', '/Files//x'],
  ['\\Users', '/Files/Users'],
  ['/Files/a', '/Files/a'],
  ['Hives', 'Hives'],
];
for (const [asked, path] of PATHS)
  test(`${asked} is ${path} in an image`, () => {
    assert.equal(imagePath(asked), path);
  });

test('links lead into the one drive that there is, or stay relative', () => {
  assert.equal(linkTarget('\\??\\C:\\Users'), '/Files//Users');
  assert.equal(linkTarget('\\\\?\\D:\\x'), '/Files//x');
  assert.equal(linkTarget('\\x'), '/Files/x');
  assert.equal(linkTarget('..\\x'), '../x');
});
