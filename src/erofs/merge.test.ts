import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { MicaError } from '../errors.ts';
import { listIndex, type Listed } from '../testing/listing.ts';
import { packLayer, type PackedLayer } from '../testing/pack.ts';
import { layerStacks } from '../testing/stacks.ts';
import * as t from '../testing/tree.ts';
import { INODE, SB } from './format.ts';
import { mergeIndexes } from './merge.ts';
import { Node, S_IFCHR, S_IFDIR, S_IFREG, UNMAPPED_DEVICE } from './node.ts';
import type { Extent } from './node.ts';
import { openIndex } from './read.ts';
import { indexBytes } from './write.ts';

/** The index that indexes (base first) merge into. */
function merged(indexes: readonly Uint8Array[]): Buffer {
  const { root, devices, read } = mergeIndexes(indexes.map((bytes) => openIndex(bytes)));
  return indexBytes(root, { devices, read });
}

/** What the merged index of packed layers says, in the order of its paths. */
function listMerged(layers: readonly PackedLayer[]): Listed[] {
  const devices = new Map(layers.map(({ tag, device }) => [tag, device]));
  const index = openIndex(merged(layers.map((layer) => layer.index)));
  return listIndex(index, (number, physical, length) =>
    devices.get(index.devices[number - 1]!.tag)!.subarray(physical, physical + length),
  );
}

const layer = (items: t.Items): PackedLayer => packLayer(t.tree(items));
const paths = (files: readonly Listed[]): string[] => files.map(({ path }) => path);

const TAG = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);

function directory(children: Readonly<Record<string, Node>>): Node {
  const node = new Node(S_IFDIR | 0o755);
  for (const [name, child] of Object.entries(children)) node.children!.set(name, child);
  return node;
}

/** A file of one extent. */
function file(extent: Partial<Extent> & { readonly device: number }): Node {
  const node = new Node(S_IFREG | 0o644);
  const whole = { logical: 0, physical: 0, length: 1000, ...extent };
  node.size = whole.logical + whole.length;
  node.extents = [whole];
  return node;
}

/** Of a tree whose files lie in two tars. */
const indexOf = (root: Node, size = 8192): Buffer =>
  indexBytes(root, {
    devices: [
      { tag: TAG, size },
      { tag: OTHER, size },
    ],
    read: (_device, physical, into) => into.fill(physical % 251),
  });

describe('an index merged of several', () => {
  test('has neither whiteouts nor marks of any layer', () => {
    const base = layer({ a: t.file('1'), d: t.dir(), 'd/x': t.file('2') });
    const top = layer({ a: t.whiteout(), gone: t.whiteout(), d: t.dir({ opaque: true }) });
    const files = listMerged([base, top]);
    assert.deepEqual(paths(files), ['', '/d']);
    assert.deepEqual(
      files.map(({ xattrs }) => xattrs),
      [{}, {}],
    );
  });

  test('can be merged again, with whatever comes on top', () => {
    const layers = [
      layer({ a: t.file('1'), d: t.dir({ mode: 0o700 }), 'd/x': t.file('2'), b: t.hardlink('a') }),
      layer({ d: t.dir({ opaque: true, xattrs: { 'user.note': 'x' } }), 'd/y': t.link('x') }),
      layer({ a: t.whiteout(), 'd/z': t.sparse(9000, { 1024: 'z'.repeat(512) }) }),
    ].map(({ index }) => index);
    const [base, middle, top] = layers as [Uint8Array, Uint8Array, Uint8Array];
    assert.deepEqual(merged([merged([base, middle]), top]), merged(layers));
    assert.deepEqual(merged([merged(layers)]), merged(layers));
  });

  test('is the same, byte for byte, whenever it is made', () => {
    fc.assert(
      fc.property(layerStacks(), (trees) => {
        const indexes = trees.map((tree) => packLayer(tree).index);
        assert.deepEqual(merged(indexes), merged(indexes));
      }),
      { numRuns: 20 },
    );
  });

  test('of no layers is an empty directory', () => {
    const index = openIndex(merged([]));
    assert.equal(index.stat(index.root).mode, S_IFDIR | 0o755);
    assert.deepEqual(index.readdir(index.root), []);
  });

  test('has the root of the nearest layer that describes one', () => {
    const described = layer({ '': t.dir({ mode: 0o711, uid: 5, xattrs: { 'user.note': 'x' } }) });
    const undescribed = layer({ a: t.file('') });
    const root = listMerged([layer({ '': t.dir({ mode: 0o700 }) }), described, undescribed])[0]!;
    assert.deepEqual(
      [root.mode, root.owner, root.xattrs],
      ['040711', '5:0', { 'user.note': '78' }],
    );
  });

  test('keeps the hard links of a layer, as many as can still be seen', () => {
    const base = layer({ a: t.file('same'), b: t.hardlink('a'), c: t.hardlink('a') });
    const files = listMerged([base, layer({ b: t.whiteout(), d: t.file('same') })]);
    assert.deepEqual(
      files.slice(1).map(({ path, nlink, inode }) => [path, nlink, inode]),
      [
        ['/a', 2, '/a'],
        ['/c', 2, '/a'],
        ['/d', 1, '/d'],
      ],
    );
  });
});

describe('the devices of a merged index', () => {
  const tagsOf = (bytes: Uint8Array): string[] => openIndex(bytes).devices.map(({ tag }) => tag);

  test('are those tars that something is left of', () => {
    const lower = layer({ a: t.file('lower') });
    const [upper, top] = [
      layer({ a: t.file('upper') }),
      layer({ b: t.file('top'), c: t.link('a') }),
    ];
    assert.deepEqual(tagsOf(merged([lower.index, upper.index, top.index])), [upper.tag, top.tag]);
  });

  test('have a layer that comes twice once', () => {
    const [one, other] = [layer({ a: t.file('1'), b: t.file('2') }), layer({ a: t.file('3') })];
    const bytes = merged([one.index, other.index, one.index]);
    assert.deepEqual(tagsOf(bytes), [one.tag]);
    assert.deepEqual(listMerged([one, other, one]), listMerged([other, one]));
  });

  test('are found by tag, where a layer links to what is in another one’s tar', () => {
    const base = indexBytes(directory({ a: file({ device: 1 }) }), {
      devices: [{ tag: OTHER, size: 8192 }],
    });
    const dependent = indexOf(
      directory({ b: file({ device: 2 }), c: file({ device: 1, physical: 512 }) }),
    );
    const index = openIndex(merged([base, dependent]));
    const place = (name: string): unknown => {
      const [extent] = index.extents(index.lookup(index.root, name)!);
      return [index.devices[extent!.device - 1]!.tag, extent!.physical];
    };
    assert.deepEqual(['a', 'b', 'c'].map(place), [
      [OTHER, 0],
      [OTHER, 0],
      [TAG, 512],
    ]);
    assert.equal(index.devices.length, 2);
  });

  test('are in their own places when there are hundreds of them', () => {
    const layers = Array.from({ length: 600 }, (_, i) =>
      layer({ [`f${i}`]: t.file(`content ${i}`), 'd/same': t.file(String(i)) }),
    );
    const files = listMerged(layers);
    assert.equal(files.length, 603);
    assert.deepEqual(files, listMerged(layers.flatMap((one) => [one, one])));
    const alone = listMerged([layers[599]!]).find(({ path }) => path === '/d/same')!;
    assert.equal(files.find(({ path }) => path === '/d/same')!.content, alone.content);
  });

  test('that contradict each other are damage, and such without a tag refused', () => {
    const tree = directory({ a: file({ device: 1 }) });
    const [small, large] = [indexOf(tree), indexOf(directory({ b: file({ device: 1 }) }), 16_384)];
    assert.throws(() => merged([small, large]), { code: 'DATA_LOSS' });
    const nameless = indexBytes(tree, { devices: [{ tag: '', size: 8192 }] });
    assert.throws(() => merged([nameless]), { code: 'FAILED_PRECONDITION' });
  });
});

describe('data that a merged index cannot point to', () => {
  test('are copied from the index that has them', () => {
    const index = indexOf(
      directory({ a: file({ device: 1, physical: 100 }), b: file({ device: 2, physical: 700 }) }),
    );
    const files = listIndex(openIndex(index), () => assert.fail('all of it is in the index'));
    const base = indexOf(directory({ b: new Node(S_IFREG | 0o600) }));
    const again = listIndex(openIndex(merged([base, index])), () =>
      assert.fail('all of it is in the merged index'),
    );
    assert.deepEqual(again, files);
    assert.equal(openIndex(merged([index])).devices.length, 0);
  });

  test('are refused where no index knows them', () => {
    const index = indexOf(directory({ a: file({ device: UNMAPPED_DEVICE }) }));
    assert.throws(() => merged([index]), { code: 'FAILED_PRECONDITION' });
    const hidden = indexOf(directory({ a: new Node(S_IFCHR) }));
    assert.equal(openIndex(merged([index, hidden])).inodes, 1);
  });

  test('are damage where two files claim the same', () => {
    const index = indexOf(
      directory({
        a: file({ device: 1, physical: 100, length: 4000 }),
        b: file({ device: 1, physical: 4300, length: 4000 }),
      }),
    );
    const opened = openIndex(index);
    // Both files' chunks then begin in the index's own first block.
    for (const name of ['a', 'b']) {
      const inode = opened.lookup(opened.root, name)! * 32;
      index.writeBigUInt64LE(BigInt(index.length), inode + INODE.i_size);
      index.writeUInt16LE(1, inode);
      index.writeUInt32LE(0, inode + INODE.i_u);
    }
    assert.throws(() => merged([index]), { code: 'DATA_LOSS' });
  });
});

test('layers that together have too much for one index are refused', () => {
  const indexes = [
    layer({ a: t.file('1'), b: t.link('x'.repeat(100)) }),
    layer({ c: t.file('3', { xattrs: { 'user.note': 'x'.repeat(100) } }), a: t.file('1') }),
  ].map(({ index }) => openIndex(index));
  // Three names, a link of 100 bytes, 110 of an xattr, and two extents of 32.
  mergeIndexes(indexes, { files: 3, bytes: 277 });
  const refused = { code: 'RESOURCE_EXHAUSTED' };
  assert.throws(() => mergeIndexes(indexes, { files: 2, bytes: 277 }), refused);
  assert.throws(() => mergeIndexes(indexes, { files: 3, bytes: 276 }), refused);
});

test('damaged indexes merge into something, or fail with a code', () => {
  const change = fc.tuple(fc.nat(), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(
      layerStacks(),
      fc.array(change, { minLength: 1, maxLength: 8 }),
      (trees, changes) => {
        const indexes = trees.map((tree) => Buffer.from(packLayer(tree).index));
        for (const [at, value] of changes) {
          const bytes = indexes[at % indexes.length]!;
          bytes[1024 + (at % (bytes.length - 1024))] = value;
          bytes.writeUInt32LE(0, 1024 + SB.checksum);
        }
        try {
          merged(indexes);
        } catch (error) {
          assert.ok(error instanceof MicaError && error.code !== 'INTERNAL', String(error));
        }
      },
    ),
    { numRuns: 1000 },
  );
});
