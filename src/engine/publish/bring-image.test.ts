import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../../errors.ts';
import { hostPlatform } from '../../oci/platform.ts';
import { parseReference } from '../../oci/reference.ts';
import { BlobFixture, type ImageFixture } from '../../testing/image-fixture.ts';
import { file, tree } from '../../testing/tree.ts';
import { resolveConfig } from '../config.ts';
import { Context } from '../context.ts';
import { allImages } from '../images.ts';
import { bringImage } from './bring-image.ts';
import { readImage } from './read-image.ts';

interface Place extends AsyncDisposable {
  readonly context: Context;
  readonly fixture: BlobFixture;
  readonly made: ImageFixture;
}

async function place(): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'mica-publish-')));
  const root = join(directory.path, 'store');
  const context = stack.use(new Context(await resolveConfig({ root, driver: 'tar' }, {})));
  const fixture = new BlobFixture();
  const layers = [tree({ a: file('1') }), tree({ b: file('2') })];
  const made = await fixture.image(layers, { platform: hostPlatform() });
  const owned = stack.move();
  return { context, fixture, made, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const purpose = 'test';

test('an image from any source gets all its names at once', async () => {
  await using at = await place();
  const { context, fixture, made } = at;
  const read = await readImage(fixture, made.descriptor, {});
  const names = [parseReference('one:1'), parseReference('localhost:5000/two:2')];
  const target = made.descriptor;
  const brought = { ...read, source: fixture, target, purpose, names, repositories: ['r.test/x'] };
  const { image, bytesFetched } = await bringImage(context, brought);
  assert.deepEqual(image.references, ['docker.io/library/one:1', 'localhost:5000/two:2']);
  assert.deepEqual(image.repoDigests, [`r.test/x@${target.digest}`]);
  assert.equal(image.manifestDescriptor.digest, target.digest);
  assert.equal(
    bytesFetched,
    made.layers.reduce((sum, { size }) => sum + size, 0),
  );
  const again = await bringImage(context, { ...brought, names: [] });
  assert.equal(again.bytesFetched, 0);
  assert.deepEqual(again.image.references, image.references);
});

test('an image one of whose layers is nowhere is not seen, and its names stay free', async () => {
  await using at = await place();
  const { context, fixture, made } = at;
  const read = await readImage(fixture, made.descriptor, {});
  fixture.blobs.delete(made.layers[1]!.digest);
  const names = [parseReference('one:1')];
  const brought = { ...read, source: fixture, target: made.descriptor, purpose, names };
  await assert.rejects(bringImage(context, { ...brought, repositories: [] }), (error) =>
    isCode(error, 'NOT_FOUND'),
  );
  assert.deepEqual(allImages(await context.reading()), []);
});
