import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Source } from '../content/content.ts';
import { MicaError } from '../errors.ts';
import { sha256 } from '../oci/digest.ts';
import * as mediaTypes from '../oci/media-type.ts';
import { BlobFixture } from '../testing/image-fixture.ts';
import * as t from '../testing/tree.ts';
import { validateImage } from './validate.ts';

const LAYERS = [t.tree({ a: t.file('1'.repeat(200_000)) }), t.tree({ b: t.file('2') })];

const COMPRESSIONS = ['gzip', 'zstd', 'none'] as const;

for (const compression of COMPRESSIONS)
  test(`a good ${compression} image has no mismatch`, async () => {
    const blobs = new BlobFixture();
    const { descriptor } = await blobs.image(LAYERS, { compression });
    assert.deepEqual(await validateImage(blobs, descriptor), []);
  });

test('every layer that is wrong is told, each with what is wrong about it', async () => {
  const blobs = new BlobFixture();
  const [one, two, three, four] = [1, 2, 3, 4].map((n) => t.tree({ [`f${n}`]: t.file(`${n}`) }));
  const made = await blobs.image([one!, two!, three!, four!], { compression: 'none' });
  const [short, flipped, gone] = made.layers;
  blobs.blobs.set(short!.digest, blobs.blobs.get(short!.digest)!.subarray(0, 600));
  const changed = Buffer.from(blobs.blobs.get(flipped!.digest)!);
  changed[0] = 0x7a;
  blobs.blobs.set(flipped!.digest, changed);
  blobs.blobs.delete(gone!.digest);
  const found = await validateImage(blobs, made.descriptor);
  assert.deepEqual(
    found.map(({ digest, claim }) => [made.layers.findIndex((l) => l.digest === digest), claim]),
    [
      [0, 'size'],
      [0, 'digest'],
      [0, 'diffId'],
      [1, 'digest'],
      [1, 'diffId'],
      [2, 'missing'],
    ],
  );
});

test('a blob that is what it says, but not the layer the config means, is told', async () => {
  const blobs = new BlobFixture();
  const { config } = await blobs.image(LAYERS.slice(0, 1));
  const layer = blobs.add(`${mediaTypes.OCI_LAYER}+gzip`, gzipSync(t.tarOf(LAYERS[1]!)));
  const broken = blobs.add(
    `${mediaTypes.OCI_LAYER}+gzip`,
    gzipSync('x'.repeat(9999)).fill(0xff, 20, 30),
  );
  const greedy = blobs.add(
    `${mediaTypes.OCI_LAYER}+zstd`,
    Buffer.from('28b52ffd0090090000aa', 'hex'),
  );
  for (const [blob, claim] of [
    [layer, 'diffId'],
    [broken, 'content'],
    [greedy, 'content'],
  ] as const) {
    const manifest = { schemaVersion: 2, config, layers: [blob] };
    const found = await validateImage(blobs, blobs.addJson(mediaTypes.OCI_MANIFEST, manifest));
    assert.deepEqual(
      found.map((mismatch) => mismatch.claim),
      [claim],
    );
  }
});

test('more bytes than announced are not read to their end', async () => {
  const blobs = new BlobFixture();
  const { descriptor, layers } = await blobs.image(LAYERS, { compression: 'none' });
  const endless: Source = {
    async *fetch(target) {
      if (target.digest === layers[0]!.digest) for (;;) yield Buffer.alloc(1 << 16);
      yield* blobs.fetch(target);
    },
  };
  const found = await validateImage(endless, descriptor);
  assert.deepEqual(
    found.map(({ claim }) => claim),
    ['size'],
  );
});

test('documents that cannot be trusted are the only thing told', async () => {
  const blobs = new BlobFixture();
  const { descriptor } = await blobs.image(LAYERS);
  const elsewhere = { ...descriptor, digest: sha256('x') };
  assert.deepEqual(
    (await validateImage(blobs, elsewhere)).map(({ claim }) => claim),
    ['document'],
  );
});

test('a source that cannot be reached is an error, not a mismatch', async () => {
  const blobs = new BlobFixture();
  const { descriptor, layers } = await blobs.image(LAYERS);
  const flaky: Source = {
    fetch(target) {
      if (target.digest !== layers[1]!.digest) return blobs.fetch(target);
      throw new MicaError('UNAVAILABLE', 'connection refused');
    },
  };
  await assert.rejects(validateImage(flaky, descriptor), { code: 'UNAVAILABLE' });
});
