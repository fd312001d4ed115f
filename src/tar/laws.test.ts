import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MicaError } from '../errors.ts';
import {
  expanded,
  header,
  padded,
  pax,
  readAll,
  type Seen,
  signed,
  special,
} from '../testing/hand-made-tar.ts';
import type { Entry, EntryHandler } from './entry.ts';
import { BLOCK } from './header.ts';
import { TarReader } from './read.ts';
import { type NewMember, TarWriter, writeTar } from './write.ts';

type Written = NewMember & { readonly content: Uint8Array };

const byte = (except: string): fc.Arbitrary<string> =>
  fc
    .integer({ min: 1, max: 255 })
    .map((code) => String.fromCharCode(code))
    .filter((char) => !except.includes(char));
const part = fc.string({ unit: byte('/'), minLength: 1, maxLength: 120 });
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const xattr = fc.record({
  name: fc.oneof(fc.constantFrom('user.a', 'user.%3D', 'security.capability'), part),
  value: fc.uint8Array({ maxLength: 40 }),
});
const id = fc.oneof(fc.nat(3000), fc.integer({ min: 0, max: 0xffff_ffff }));

const attributes = {
  name: path,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: id,
  gid: id,
  mtime: fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 }),
    fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
  ),
  mtimeNs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
  xattrs: fc.option(
    fc.uniqueArray(xattr, { minLength: 1, maxLength: 3, selector: ({ name }) => name }),
    { nil: undefined },
  ),
};
const NOTHING = {
  linkName: '',
  size: 0,
  deviceMajor: 0,
  deviceMinor: 0,
  sparse: undefined,
  content: new Uint8Array(),
};

const plainFile = fc
  .record({ ...attributes, content: fc.uint8Array({ maxLength: 2000 }) })
  .map(
    (file): Written =>
      Object.assign({ ...NOTHING, type: 'file' as const, size: file.content.length }, file),
  );
const specialFile = fc
  .record({
    ...attributes,
    type: fc.constantFrom('link', 'symlink', 'char', 'block', 'directory', 'fifo'),
    target: path,
    device: fc.tuple(fc.nat(4095), fc.nat(2 ** 20 - 1)),
  })
  .map(({ target, device, ...rest }): Written => {
    const [deviceMajor, deviceMinor] = ['char', 'block'].includes(rest.type) ? device : [0, 0];
    const linkName = rest.type.endsWith('link') ? target : '';
    const name = rest.type === 'directory' ? `${rest.name}/` : rest.name;
    return Object.assign({ ...NOTHING }, rest, { name, linkName, deviceMajor, deviceMinor });
  });
const anyMember = fc.oneof(plainFile, specialFile);

const sparseFile = fc
  .record({
    ...attributes,
    gaps: fc.array(fc.tuple(fc.nat(1500), fc.integer({ min: 1, max: 1500 })), { maxLength: 6 }),
    tail: fc.nat(1500),
  })
  .map(({ gaps, tail, ...rest }): Written => {
    let size = 0;
    const sparse = gaps.map(([gap, length]) => {
      const offset = size + gap;
      size = offset + length;
      return { offset, length };
    });
    const stored = gaps.reduce((sum, [, length]) => sum + length, 0);
    const content = Buffer.from(Array.from({ length: stored }, (_, index) => (index % 255) + 1));
    return Object.assign({ ...NOTHING, type: 'file' as const, size: size + tail }, rest, {
      sparse,
      content,
    });
  });

const archiveOf = async (members: readonly Written[]): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(writeTar(members)));

const hex = (list: Entry['xattrs']): Record<string, string> =>
  Object.fromEntries(
    list?.map(({ name, value }) => [name, Buffer.from(value).toString('hex')]) ?? [],
  );

test('a writer tells what a reader of its archive tells', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(anyMember, sparseFile), { maxLength: 5 }), (members) => {
      const [archive, told] = [[] as Uint8Array[], [] as unknown[]];
      const handler = listing(told);
      const writer = new TarWriter((chunk) => archive.push(chunk), handler);
      for (const { content, ...entry } of members) {
        writer.entry(entry);
        for (let at = 0; at < content.length; at += 700)
          writer.data(content.subarray(at, at + 700));
      }
      writer.finish();
      const read: unknown[] = [];
      const reader = new TarReader(listing(read));
      reader.write(Buffer.concat(archive));
      reader.end();
      assert.deepEqual(told, read);
    }),
  );
});

/** What a handler is told, however the data come in pieces. */
function listing(list: unknown[]): EntryHandler {
  let content: Buffer[] = [];
  return {
    entry: (entry) => void list.push(entry),
    data: (chunk) => void content.push(Buffer.from(chunk)),
    end() {
      list.push(Buffer.concat(content).toString('hex'));
      content = [];
    },
  };
}

test('what was written is what is read', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyMember, { maxLength: 5 }), async (members) => {
      const archive = await archiveOf(members);
      const seen = readAll(archive);
      assert.equal(seen.length, members.length);
      for (const [index, { entry, content }] of seen.entries()) {
        const { content: wanted, xattrs: given, ...rest } = members[index]!;
        const { dataOffset, dataSize, xattrs, ...found } = entry;
        assert.deepEqual(found, rest);
        assert.deepEqual(hex(xattrs), hex(given));
        assert.deepEqual(content, Buffer.from(wanted));
        assert.deepEqual(archive.subarray(dataOffset, dataOffset + dataSize), content);
      }
    }),
    { numRuns: 150 },
  );
});

test('the same members give the same archive, in whole blocks', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyMember, { maxLength: 3 }), async (members) => {
      const archive = await archiveOf(members);
      assert.equal(archive.length % BLOCK, 0);
      const again = members.map((member) =>
        Object.assign({ ...member }, { xattrs: member.xattrs?.toReversed() }),
      );
      assert.ok((await archiveOf(again)).equals(archive));
    }),
    { numRuns: 50 },
  );
});

test('a sparse file reads as it was written, its runs in whole blocks', async () => {
  await fc.assert(
    fc.asyncProperty(sparseFile, async (file) => {
      const wanted = Buffer.alloc(file.size);
      let from = 0;
      for (const { offset, length } of file.sparse!) {
        wanted.set(file.content.subarray(from, from + length), offset);
        from += length;
      }
      const [seen] = readAll(await archiveOf([file])) as [Seen];
      assert.deepEqual([seen.entry.name, seen.entry.size], [file.name, file.size]);
      assert.deepEqual(expanded(seen), wanted);
      for (const { length } of seen.entry.sparse!.slice(0, -1)) assert.equal(length % BLOCK, 0);
    }),
    { numRuns: 150 },
  );
});

/** Something of everything, so that an edit hits every part of the reader. */
const CORPUS = Buffer.concat([
  special('L', `${'d/'.repeat(90)}long\0`),
  header({ magic: 'ustar  \0', size: 700 }),
  padded('x'.repeat(700)),
  pax(
    'path=p',
    'mtime=-1.5',
    'uid=3000000',
    'SCHILY.xattr.user.a=1',
    'SCHILY.acl.default=u::rwx,g::r-x,o::r-x',
    'LIBARCHIVE.xattr.user.b=AA',
  ),
  header({ size: 3 }),
  padded('abc'),
  pax('GNU.sparse.major=1', 'GNU.sparse.minor=0', 'GNU.sparse.name=s', 'GNU.sparse.realsize=10000'),
  header({ size: BLOCK + 6 }),
  padded('2\n512\n3\n9000\n3\n'),
  padded('abcdef'),
  pax('GNU.sparse.size=50', 'GNU.sparse.map=0,5,10,5'),
  header({ size: 10 }),
  padded('0123456789'),
  header({ type: '1', size: 600, linkName: 'f' }),
  padded('y'.repeat(600)),
  header({ type: '3' }),
  Buffer.alloc(2 * BLOCK),
]);

test('however an archive is cut, it reads the same', () => {
  const whole = readAll(CORPUS);
  assert.equal(whole.length, 6);
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 5 }),
      (sizes) => {
        assert.deepEqual(readAll(CORPUS, sizes), whole);
      },
    ),
    { numRuns: 100 },
  );
});

function signAll(archive: Buffer): void {
  for (let at = 0; at + BLOCK <= archive.length; at += BLOCK)
    if (archive.toString('latin1', at + 257, at + 262) === 'ustar')
      signed(archive.subarray(at, at + BLOCK));
}

test('a damaged archive gives members or a coded error, and nothing else', () => {
  const edit = fc.oneof(
    fc.tuple(fc.nat(CORPUS.length - 1), fc.nat(255)),
    fc.tuple(fc.nat(CORPUS.length - 1), fc.constantFrom(0, 0x20, 0x30, 0x37, 0x39, 0x80, 0xff)),
  );
  fc.assert(
    fc.property(
      fc.array(edit, { maxLength: 8 }),
      fc.oneof(fc.constant(CORPUS.length), fc.nat(CORPUS.length)),
      fc.boolean(),
      (edits, cut, isSigned) => {
        const bad = Buffer.from(CORPUS.subarray(0, cut));
        for (const [at, value] of edits) if (at < bad.length) bad[at] = value;
        // Else most edits would be found by the checksum.
        if (isSigned) signAll(bad);
        try {
          readAll(bad, [333]);
        } catch (error) {
          assert.ok(error instanceof MicaError, String(error));
        }
      },
    ),
    { numRuns: 1500 },
  );
});
