import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { MicaError } from '../errors.ts';
import { needs } from '../testing/need.ts';
import type { Entry } from './entry.ts';
import { BLOCK, checksumOf } from './header.ts';
import { TarReader } from './read.ts';
import { type NewEntry, writeTar } from './write.ts';

interface Seen {
  readonly entry: Entry;
  readonly content: Buffer;
}

function read(archive: Uint8Array, sizes: readonly number[] = [archive.length]): Seen[] {
  const seen: Seen[] = [];
  let chunks: Buffer[] = [];
  const reader = new TarReader({
    entry: (entry) => {
      chunks = [];
      if (entry.type !== 'file') seen.push({ entry, content: Buffer.alloc(0) });
      else seen.push({ entry, content: Buffer.alloc(0) });
    },
    data: (chunk) => chunks.push(Buffer.from(chunk)),
    end: () => {
      seen.push({ entry: seen.pop()!.entry, content: Buffer.concat(chunks) });
    },
  });
  let at = 0;
  for (let turn = 0; at < archive.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length]!);
    reader.write(archive.subarray(at, at + size));
    at += size;
  }
  reader.end();
  return seen;
}

const DEFAULTS = {
  linkName: '',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 1_600_000_000,
  mtimeNs: 0,
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: undefined,
  sparse: undefined,
} as const;

const file = (
  name: string,
  text: string,
  rest: Partial<NewEntry> = {},
): NewEntry & { content: Uint8Array } => ({
  ...DEFAULTS,
  type: 'file',
  name,
  size: text.length,
  content: Buffer.from(text, 'latin1'),
  ...rest,
});

const archiveOf = async (...entries: (NewEntry & { content: Uint8Array })[]): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(writeTar(entries)));

/** A hand-made header, for what no writer writes. */
function header(
  name: string,
  typeflag: string,
  size: number,
  patch: (block: Buffer) => void = () => {},
): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0, 'latin1');
  block.write('0000644\0', 100);
  block.write('0000000\x000000000\0', 108);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write(typeflag, 156);
  block.write('ustar\u000000', 257);
  patch(block);
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

const padded = (text: string): Buffer =>
  Buffer.concat([
    Buffer.from(text, 'latin1'),
    Buffer.alloc((BLOCK - (text.length % BLOCK)) % BLOCK),
  ]);

function pax(...records: string[]): Buffer {
  const body = records.map((record) => {
    let length = record.length + 3;
    while (`${length} ${record}\n`.length !== length) length++;
    return `${length} ${record}\n`;
  });
  const text = body.join('');
  return Buffer.concat([header('x', 'x', text.length), padded(text)]);
}

const END = Buffer.alloc(2 * BLOCK);

const arbitraryName = fc
  .array(
    fc.string({
      unit: fc
        .integer({ min: 1, max: 255 })
        .filter((code) => code !== 0x2f)
        .map((code) => String.fromCharCode(code)),
      minLength: 1,
      maxLength: 120,
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((parts) => parts.join('/'));

const arbitraryEntry = fc
  .record({
    name: arbitraryName,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 0xffff_ffff }),
    gid: fc.integer({ min: 0, max: 0xffff_ffff }),
    mtime: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    mtimeNs: fc.integer({ min: 0, max: 999_999_999 }),
    content: fc.uint8Array({ maxLength: 2000 }),
    xattrs: fc.option(
      fc.uniqueArray(
        fc.record({
          name: fc.constantFrom('user.a', 'user.ü', 'security.capability', 'user.x y'),
          value: fc.uint8Array({ maxLength: 40 }),
        }),
        { minLength: 1, maxLength: 3, selector: ({ name }) => name },
      ),
      { nil: undefined },
    ),
  })
  .map(({ content, ...rest }) => ({
    ...DEFAULTS,
    type: 'file' as const,
    size: content.length,
    content,
    ...rest,
  }));

test('what was written is read again, however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(arbitraryEntry, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 5 }),
      async (entries, sizes) => {
        const archive = await archiveOf(...entries);
        const seen = read(archive, sizes);
        assert.equal(seen.length, entries.length);
        for (const [index, { entry, content }] of seen.entries()) {
          const { content: wanted, xattrs, ...rest } = entries[index]!;
          const { dataOffset, dataSize, xattrs: found, ...same } = entry;
          assert.deepEqual(same, rest);
          assert.deepEqual(content, Buffer.from(wanted));
          const byName = (list: Entry['xattrs']) =>
            new Map(list?.map(({ name, value }) => [name, Buffer.from(value).toString('hex')]));
          assert.deepEqual(byName(found), byName(xattrs));
          assert.deepEqual(
            archive.subarray(dataOffset, dataOffset + dataSize),
            Buffer.from(wanted),
          );
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('a damaged archive gives a coded error, or entries, and nothing else', async () => {
  const good = await archiveOf(
    file('a', 'x'.repeat(700)),
    file(`${'d/'.repeat(90)}long`, 'y', { xattrs: [{ name: 'user.a', value: Buffer.from('1') }] }),
    file('s', 'abcdef', {
      size: 100_000,
      sparse: [
        { offset: 512, length: 3 },
        { offset: 90_000, length: 3 },
      ],
    }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }),
      fc.integer({ min: 0, max: good.length }),
      fc.boolean(),
      (edits, cut, repair) => {
        const bad = Buffer.from(good.subarray(0, cut));
        for (const [at, value] of edits) if (at < bad.length) bad[at] = value;
        if (repair)
          for (let at = 0; at + BLOCK <= bad.length; at += BLOCK)
            if (bad.toString('latin1', at + 257, at + 262) === 'ustar')
              bad.write(
                `${checksumOf(bad.subarray(at, at + BLOCK))
                  .toString(8)
                  .padStart(6, '0')}\0 `,
                at + 148,
              );
        try {
          read(bad, [333]);
        } catch (error) {
          assert.ok(error instanceof MicaError, String(error));
        }
      },
    ),
    { numRuns: 400 },
  );
});

const TIMES: readonly (readonly [string, number, number])[] = [
  ['1', 1, 0],
  ['1.5', 1, 500_000_000],
  ['1.000000001', 1, 1],
  ['1.0000000019', 1, 1],
  ['-1.5', -2, 500_000_000],
  ['-1', -1, 0],
  ['-0.000000001', -1, 999_999_999],
  ['0.', 0, 0],
];
for (const [text, seconds, nanoseconds] of TIMES)
  test(`an mtime of ${text} is ${seconds} s and ${nanoseconds} ns`, () => {
    const [one] = read(Buffer.concat([pax(`mtime=${text}`), header('f', '0', 0), END]));
    assert.deepEqual([one!.entry.mtime, one!.entry.mtimeNs], [seconds, nanoseconds]);
  });

test('GNU long names, base-256 numbers and V7 directories are understood', () => {
  const long = 'n'.repeat(300);
  const archive = Buffer.concat([
    header('././@LongLink', 'L', 301),
    padded(`${long}\0`),
    header('././@LongLink', 'K', 301),
    padded(`${'t'.repeat(300)}\0`),
    header('short', '2', 0, (block) => {
      block.fill(0, 108, 116);
      block[108] = 0x80;
      block.writeUInt32BE(4_000_000_000, 112);
      block.fill(0xff, 136, 148);
    }),
    header('old/', '\0', 0),
    END,
  ]);
  const [link, old] = read(archive).map(({ entry }) => entry);
  assert.equal(link!.name, long);
  assert.equal(link!.linkName, 't'.repeat(300));
  assert.equal(link!.uid, 4_000_000_000);
  assert.equal(link!.mtime, -1);
  assert.equal(old!.type, 'directory');
});

test('a link, device or directory has no data, whatever its size says; global headers change nothing', () => {
  const global = pax('path=evil', 'uid=7');
  global.write('g', 156);
  global.write(`${checksumOf(global).toString(8).padStart(6, '0')}\0 `, 148);
  const archive = Buffer.concat([
    global,
    header('d', '5', 1000),
    header('l', '1', 1000),
    header('f', '0', 1),
    padded('z'),
    END,
  ]);
  const seen = read(archive);
  assert.deepEqual(
    seen.map(({ entry: { name, uid, size } }) => [name, uid, size]),
    [
      ['d', 0, 0],
      ['l', 0, 0],
      ['f', 0, 1],
    ],
  );
});

test('an access control list with numbers becomes what the kernel keeps; one with names alone is left out', () => {
  const archive = Buffer.concat([
    pax('SCHILY.acl.access=user::rw-,user:alice:r--:1000,group::r--,mask::r--,other::---'),
    header('a', '0', 0),
    pax('SCHILY.acl.access=user::rw-,user:alice:r--,group::r--,mask::r--,other::---'),
    header('b', '0', 0),
    END,
  ]);
  const [a, b] = read(archive).map(({ entry }) => entry);
  assert.equal(
    Buffer.from(a!.xattrs![0]!.value).toString('hex'),
    '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff',
  );
  assert.equal(b!.xattrs, undefined);
});

const BROKEN: readonly (readonly [title: string, code: string, archive: () => Buffer])[] = [
  [
    'an archive that ends inside a file',
    'DATA_LOSS',
    () => Buffer.concat([header('f', '0', 600), Buffer.alloc(512)]),
  ],
  ['an archive that ends inside a header', 'DATA_LOSS', () => header('f', '0', 0).subarray(0, 100)],
  ['an extended header without a member', 'DATA_LOSS', () => pax('path=x')],
  [
    'a wrong checksum',
    'INVALID_ARGUMENT',
    () => Buffer.concat([header('f', '0', 0).fill('9', 148, 154), END]),
  ],
  [
    'HTML instead of an archive',
    'INVALID_ARGUMENT',
    () => padded(`<!doctype html>${' '.repeat(600)}`),
  ],
  ['an extended header of 2 MiB', 'INVALID_ARGUMENT', () => header('x', 'x', 2 ** 21)],
  [
    'a record that is longer than its header',
    'INVALID_ARGUMENT',
    () => Buffer.concat([header('x', 'x', 12), padded('99 path=abc\n'), header('f', '0', 0), END]),
  ],
  [
    'a NUL in a name',
    'INVALID_ARGUMENT',
    () => Buffer.concat([pax('path=a\0b'), header('f', '0', 0), END]),
  ],
  [
    'a negative size',
    'INVALID_ARGUMENT',
    () => Buffer.concat([pax('size=-1'), header('f', '0', 0), END]),
  ],
  [
    'a size of 19 digits',
    'INVALID_ARGUMENT',
    () => Buffer.concat([pax('size=9999999999999999999'), header('f', '0', 0), END]),
  ],
  [
    'a uid of 64 bits',
    'INVALID_ARGUMENT',
    () => Buffer.concat([pax('uid=8589934592'), header('f', '0', 0), END]),
  ],
  [
    'overlapping sparse runs',
    'INVALID_ARGUMENT',
    () =>
      Buffer.concat([
        pax('GNU.sparse.size=100', 'GNU.sparse.map=0,10,5,10'),
        header('f', '0', 20),
        padded('x'.repeat(20)),
        END,
      ]),
  ],
  [
    'a sparse run beyond the end',
    'INVALID_ARGUMENT',
    () =>
      Buffer.concat([
        pax('GNU.sparse.size=10', 'GNU.sparse.map=0,20'),
        header('f', '0', 20),
        padded('x'.repeat(20)),
        END,
      ]),
  ],
  [
    'a single zero block in the middle',
    'INVALID_ARGUMENT',
    () => Buffer.concat([Buffer.alloc(BLOCK), header('f', '0', 0), END]),
  ],
  [
    'a part of a multi-volume archive',
    'NOT_IMPLEMENTED',
    () => Buffer.concat([header('f', 'M', 0), END]),
  ],
  [
    'a member of an unknown type',
    'NOT_IMPLEMENTED',
    () => Buffer.concat([header('f', 'Z', 0), END]),
  ],
];
for (const [title, code, archive] of BROKEN)
  test(`${title} is refused with ${code}`, () => {
    assert.throws(() => read(archive()), { code });
  });

test('nothing after the end marker is looked at, and the marker may be missing', () => {
  const one = header('f', '0', 0);
  assert.equal(read(Buffer.concat([one, END, Buffer.from('garbage')])).length, 1);
  assert.equal(read(one).length, 1);
  assert.equal(read(Buffer.alloc(0)).length, 0);
});

/** Old formats have no times before 1970, the oldest no fifos. */
const EXCLUDED: Readonly<Record<string, string>> = {
  ustar: '--exclude=before',
  v7: '--exclude=before --exclude=p',
};
const FORMATS = ['gnu', 'posix', 'ustar', 'v7'];
for (const format of FORMATS)
  test(
    `an archive by GNU tar in the format ${format} is read exactly`,
    { skip: needs('tar') },
    () => {
      using dir = mkdtempDisposableSync(join(tmpdir(), 'tar-'));
      const script = `
      mkdir -p src/d; cd src; printf hello > d/f; ln d/f hard; ln -s d/f soft; mkfifo p; chmod 4755 d/f
      truncate -s 3M d/sparse; printf end | dd of=d/sparse bs=1 seek=2000000 conv=notrunc status=none
      touch -d '1969-12-31 23:59:58.25 UTC' before; touch -d '2020-01-01 00:00:00.123456789 UTC' exact; cd ..
      tar --format=${format} --numeric-owner ${format === 'gnu' || format === 'posix' ? '--sparse' : ''} -cf a.tar -C src ${EXCLUDED[format] ?? ''} .`;
      execFileSync('sh', ['-ec', script], { cwd: dir.path });
      const seen = new Map(
        read(readFileSync(join(dir.path, 'a.tar')), [4096]).map((one) => [one.entry.name, one]),
      );
      const { entry, content } = [seen.get('./d/f')!, seen.get('./hard')!].find(
        (one) => one.entry.type === 'file',
      )!;
      assert.equal(content.toString(), 'hello');
      assert.equal(entry.mode, 0o4755);
      assert.equal([...seen.values()].filter(({ entry: { type } }) => type === 'link').length, 1);
      assert.equal(seen.get('./soft')!.entry.linkName, 'd/f');
      const sparse = seen.get('./d/sparse')!;
      assert.equal(sparse.entry.size, 3 * 2 ** 20);
      if (sparse.entry.sparse) {
        let at = 0;
        const whole = Buffer.alloc(sparse.entry.size);
        for (const { offset, length } of sparse.entry.sparse)
          at += sparse.content.copy(whole, offset, at, at + length);
        assert.equal(whole.toString('latin1', 2_000_000, 2_000_003), 'end');
        assert.equal(at, sparse.entry.dataSize);
      }
      if (format !== 'v7') assert.equal(seen.get('./p')?.entry.type, 'fifo');
      if (format === 'posix') {
        assert.deepEqual(
          [seen.get('./exact')!.entry.mtime, seen.get('./exact')!.entry.mtimeNs],
          [1_577_836_800, 123_456_789],
        );
        assert.deepEqual(
          [seen.get('./before')!.entry.mtime, seen.get('./before')!.entry.mtimeNs],
          [-2, 250_000_000],
        );
      }
      if (format === 'gnu') assert.equal(seen.get('./before')!.entry.mtime, -2);
    },
  );

for (const version of ['0.0', '0.1', '1.0'])
  test(
    `a sparse file in pax format ${version} by GNU tar is read exactly`,
    { skip: needs('tar') },
    () => {
      using dir = mkdtempDisposableSync(join(tmpdir(), 'tar-'));
      const holes = Array.from(
        { length: 30 },
        (_, index) =>
          `printf x${index} | dd of=s bs=1 seek=$((${index} * 65536)) conv=notrunc status=none`,
      );
      execFileSync(
        'sh',
        [
          '-ec',
          `truncate -s 4M s; ${holes.join('; ')}; tar --format=posix --sparse --sparse-version=${version} -cf a.tar s`,
        ],
        { cwd: dir.path },
      );
      const [one] = read(readFileSync(join(dir.path, 'a.tar')), [700]);
      assert.equal(one!.entry.name, 's');
      let at = 0;
      const whole = Buffer.alloc(one!.entry.size);
      for (const { offset, length } of one!.entry.sparse!)
        at += one!.content.copy(whole, offset, at, at + length);
      assert.deepEqual(whole, readFileSync(join(dir.path, 's')));
    },
  );

test('GNU tar extracts what the writer wrote', { skip: needs('tar') }, async () => {
  using dir = mkdtempDisposableSync(join(tmpdir(), 'tar-'));
  const deep = `${'directory/'.repeat(20)}file`;
  const archive = await archiveOf(
    file(deep, 'deep', { mtime: 5, mtimeNs: 250_000_000 }),
    file('s', `${'abcd'.repeat(128)}def`, {
      size: 100_000,
      sparse: [
        { offset: 4096, length: 512 },
        { offset: 90_000, length: 3 },
      ],
    }),
    { ...file('soft', ''), type: 'symlink', linkName: 'x'.repeat(200) },
  );
  writeFileSync(join(dir.path, 'a.tar'), archive);
  execFileSync('tar', ['-xf', 'a.tar'], { cwd: dir.path });
  assert.equal(readFileSync(join(dir.path, deep), 'utf8'), 'deep');
  const sparse = readFileSync(join(dir.path, 's'));
  assert.equal(sparse.length, 100_000);
  assert.equal(sparse.toString('latin1', 90_000, 90_003), 'def');
  const listed = execFileSync('tar', ['--full-time', '-tvf', 'a.tar'], {
    cwd: dir.path,
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  });
  assert.match(listed, /1970-01-01 00:00:05\.25/);
  assert.match(listed, new RegExp(`soft -> ${'x'.repeat(200)}`));
});
