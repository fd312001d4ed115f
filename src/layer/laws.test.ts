import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { IndexOptions } from '../erofs/write.ts';
import { indexBytes } from '../erofs/write.ts';
import { openIndex } from '../erofs/read.ts';
import { TarReader } from '../tar/read.ts';
import { END, header, padded, pax } from '../testing/hand-made-tar.ts';
import { LayerModel } from '../testing/layer-model.ts';
import { listIndex } from '../testing/listing.ts';
import * as t from '../testing/tree.ts';
import { Changeset } from './changeset/changeset.ts';
import { nothingBelow } from './changeset/lower.ts';
import { noSink } from './changeset/sink.ts';

/** Few directories, so that members meet; names that are hard to keep among them. */
const DIRECTORIES = ['', 'a/', 'b/', 'a/a/', 'a/b/', 'b/c/', 'b/\xff\x01/'];
const NAMES = ['a', 'b', 'c', '\xff\x01', 'n'.repeat(255), 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
const path = fc
  .tuple(fc.constantFrom(...DIRECTORIES), fc.constantFrom(...NAMES))
  .map((names) => names.join(''));
const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const xattr = fc.tuple(
  fc.constantFrom('user.a', 'user.b', 'trusted.a', 'security.capability', 'system.unknown'),
  fc.oneof(
    fc.constant(Buffer.from('the same everywhere')),
    fc.uint8Array({ maxLength: 30 }),
    fc.integer({ min: 400, max: 20_000 }).map((length) => new Uint8Array(length).fill(length)),
  ),
);
const attributes: fc.Arbitrary<t.Attributes> = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1000, 65_535, 65_536, 4_294_967_294),
  gid: fc.constantFrom(0, 70_000, 4_294_967_294),
  mtime: fc.oneof(fc.integer({ min: -5e9, max: 2e10 }), fc.constantFrom(0, -1, 2 ** 31, 2 ** 40)),
  mtimeNs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 999_999_999 })),
  xattrs: fc.oneof(
    { weight: 2, arbitrary: fc.constant({}) },
    fc.array(xattr, { maxLength: 4 }).map((all) => Object.fromEntries(all)),
  ),
});

const content = fc
  .tuple(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 3000 })), fc.nat(255))
  .map(([length, seed]) => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) % 255));

/** Whole blocks as often as not. */
const anyLength = fc.oneof(fc.constantFrom(512, 1024, 4096), fc.integer({ min: 1, max: 2000 }));

/** Data of any length between holes of any length. */
const runs = fc
  .array(fc.tuple(fc.oneof(fc.constant(0), anyLength), anyLength), { maxLength: 6 })
  .map((pairs) => {
    let end = 0;
    return Object.fromEntries(
      pairs.map(([gap, length]) => {
        const offset = end + gap;
        end = offset + length;
        return [offset, String.fromCharCode(33 + (offset % 90)).repeat(length)];
      }),
    );
  });
const endOf = (found: Readonly<Record<number, string>>): number =>
  Math.max(0, ...Object.entries(found).map(([offset, data]) => Number(offset) + data.length));
const sparse = fc
  .tuple(runs, fc.nat(3000), attributes)
  .map(([found, tail, given]) => t.sparse(endOf(found) + tail, found, given));

const item: fc.Arbitrary<t.Item> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(content, attributes).map((file) => t.file(...file)) },
  { weight: 5, arbitrary: attributes.map((given) => t.dir(given)) },
  { weight: 2, arbitrary: sparse },
  fc.tuple(fc.integer({ min: 1, max: 4095 }), attributes).map(([length, given]) => {
    return t.link(bytes(`\xfe${'t'.repeat(length - 1)}`), given);
  }),
  { weight: 2, arbitrary: path.map((to) => t.hardlink(bytes(to))) },
  fc.tuple(fc.nat(4095), fc.nat(2 ** 20 - 1), attributes).map((given) => t.block(...given)),
  fc
    .tuple(fc.nat(4095), fc.integer({ min: 1, max: 2 ** 20 - 1 }), attributes)
    .map((given) => t.char(...given)),
  attributes.map((given) => t.fifo(given)),
  { weight: 2, arbitrary: fc.constant(t.whiteout()) },
  attributes.map((given) => t.dir({ ...given, opaque: true })),
);

/** A member, and whether its runs of data follow each other without a gap, as Go writes them. */
interface Packed {
  readonly member: t.Member;
  readonly packed: boolean;
}

/** Members that mean something without layers below, each after what it needs, names twice and all. */
const layer: fc.Arbitrary<{ members: Packed[]; model: LayerModel }> = fc
  .array(fc.tuple(path, item, fc.boolean()), { maxLength: 60, size: 'max' })
  .map((all) => {
    const model = new LayerModel();
    const members: Packed[] = [];
    const begin = DIRECTORIES.slice(1).map((made) => [made, t.dir(), false] as const);
    for (const [to, one, packed] of [...begin, ...all])
      for (const given of t.tree([[bytes(to), one]], { parents: 'omit' })) {
        const plain = packed && given.sparse && packedOnly(given);
        const member = plain || given;
        if (model.apply(member)) members.push({ member, packed: Boolean(plain) });
      }
    return { members, model };
  });

/** What the hand-made archive below can say of a file. */
const packedOnly = (member: t.Member): t.Member => ({
  ...member,
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 0,
  mtimeNs: 0,
  xattrs: undefined,
});

function archiveOf(members: readonly Packed[]): Buffer {
  const parts = members.map(({ member, packed }) => {
    if (!packed) return t.tarOf([member]).subarray(0, -END.length);
    const map = member.sparse!.flatMap(({ offset, length }) => [offset, length]);
    const text = Buffer.from(member.content).toString('latin1');
    const records = [`GNU.sparse.size=${member.size}`, `GNU.sparse.map=${map.join()}`];
    const head = [pax(...records, `path=${member.name}`), header({ size: text.length })];
    return Buffer.concat([...head, padded(text)]);
  });
  return Buffer.concat([...parts, END]);
}

/** The archive's index, from chunks of the given sizes over and over. */
function indexOf(archive: Buffer, sizes: readonly number[]): Buffer {
  const changeset = new Changeset(noSink, { lower: nothingBelow });
  const reader = new TarReader(changeset);
  for (let at = 0, turn = 0; at < archive.length; turn++) {
    const next = at + sizes[turn % sizes.length]!;
    reader.write(Buffer.from(archive.subarray(at, next)));
    at = next;
  }
  reader.end();
  changeset.finish();
  const options: IndexOptions = {
    devices: [{ tag: 'ab'.repeat(32), size: archive.length }],
    read: (_, physical, into) => into.set(archive.subarray(physical, physical + into.length)),
  };
  return indexBytes(changeset.root, options);
}

test('what an archive has, its index has, to the last attribute and byte', () => {
  fc.assert(
    fc.property(layer, ({ members, model }) => {
      const archive = archiveOf(members);
      using index = openIndex(indexOf(archive, [archive.length]));
      const read = (_: number, at: number, length: number): Uint8Array =>
        archive.subarray(at, at + length);
      assert.deepEqual(listIndex(index, read), model.list());
    }),
    { numRuns: 200 },
  );
});

test('an archive has one index, in whatever pieces it comes', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(layer, sizes, ({ members }, pieces) => {
      const archive = archiveOf(members);
      const whole = indexOf(archive, [archive.length]);
      assert.ok(indexOf(archive, pieces).equals(whole));
      assert.ok(indexOf(archive, [512]).equals(whole));
    }),
    { numRuns: 60 },
  );
});
