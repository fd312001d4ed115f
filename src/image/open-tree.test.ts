import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { describeDirectory, describeTree } from '../testing/describe.ts';
import { BlobFixture } from '../testing/image-fixture.ts';
import { needs } from '../testing/need.ts';
import { packLayer } from '../testing/pack.ts';
import { layerStacks } from '../testing/stacks.ts';
import * as t from '../testing/tree.ts';
import { openUnion } from '../union/union.ts';
import { loadImage } from './load.ts';
import { openImageTree } from './open-tree.ts';

/** Attributes, kinds and ways of hiding that an unpacker can get wrong. */
const LAYERS = [
  t.tree({
    'bin/busybox': t.file('x'.repeat(70_000), { mode: 0o4755 }),
    'bin/sh': t.link('busybox'),
    'bin/ash': t.hardlink('bin/busybox'),
    'etc/passwd': t.file('root', { uid: 100_000, gid: 70_000, mtimeNs: 123_456_789 }),
    'etc/old': t.file('old', { mtime: -1, mtimeNs: 5 }),
    'dev/null': t.char(1, 3, { mode: 0o666 }),
    'run/fifo': t.fifo({ mode: 0o600 }),
    'usr/lib/a.so': t.file('a', { xattrs: { 'user.note': 'kept' } }),
    lib: t.link('usr/lib'),
    'var/cache/deep/x': t.file('x'),
    [`long/${'n'.repeat(200)}/${'m'.repeat(200)}`]: t.file('long'),
  }),
  t.tree({
    etc: t.dir({ mode: 0o750, mtime: 5 }),
    'etc/passwd': t.file('new'),
    'etc/old': t.whiteout(),
    'var/cache': t.dir({ opaque: true }),
    'var/cache/fresh': t.file('y'),
    sparse: t.sparse(1_000_000, { 524_288: 'z'.repeat(512) }),
  }),
  t.tree(
    [
      ['lib/b.so', t.file('b')],
      ['bin/copy', t.hardlink('usr/lib/a.so')],
    ],
    { parents: 'omit' },
  ),
];

test('an image can be read where it lies, layers that depend on others included', async () => {
  const blobs = new BlobFixture();
  const image = await loadImage(blobs, (await blobs.image(LAYERS)).descriptor);
  await using tree = await openImageTree(image);
  assert.equal((await tree.readFile('lib/b.so')).toString(), 'b');
  assert.equal((await tree.readFile('bin/copy')).toString(), 'a');
  assert.equal(tree.lstat('/lib').type, 'symlink');
  assert.deepEqual(
    tree.readdir('var/cache').map(({ name }) => name),
    ['fresh'],
  );
  await using below = await openImageTree(image, { layers: 1 });
  assert.equal((await below.readFile('etc/passwd')).toString(), 'root');
});

test(
  'an image is what umoci unpacks, attribute by attribute',
  { skip: needs('umoci') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'image-'));
    const [layout, unpacked] = [join(dir.path, 'layout'), join(dir.path, 'unpacked')];
    const blobs = new BlobFixture();
    const { descriptor } = await blobs.image(LAYERS);
    await blobs.writeLayout(layout, { fixture: descriptor });
    execFileSync('umoci', ['unpack', '--image', `${layout}:fixture`, unpacked], {
      stdio: 'ignore',
    });
    await using tree = await openImageTree(await loadImage(blobs, descriptor));
    assert.equal(
      await describeTree(tree, { root: false }),
      describeDirectory(join(unpacked, 'rootfs'), { root: false }),
    );
  },
);

test('a layer that is not the one the config means is not shown', async () => {
  const blobs = new BlobFixture();
  const { descriptor } = await blobs.image(LAYERS);
  const image = await loadImage(blobs, descriptor);
  const [first, second] = image.layers;
  const swapped = { ...image, layers: [{ ...first!, diffId: second!.diffId }] };
  await assert.rejects(openImageTree(swapped), { code: 'DATA_LOSS' });
});

test('any stack of layers gives the same tree through archives as without them', async () => {
  await fc.assert(
    fc.asyncProperty(layerStacks(), async (layers) => {
      const blobs = new BlobFixture();
      const { descriptor } = await blobs.image(layers, { compression: 'none' });
      await using tree = await openImageTree(await loadImage(blobs, descriptor));
      const packed = openUnion(layers.map(packLayer));
      const options = { root: false };
      assert.equal(await describeTree(tree, options), await describeTree(packed, options));
    }),
    { numRuns: 60 },
  );
});
