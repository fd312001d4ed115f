import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';
import type { ErrorCode } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { sha256 } from '../oci/digest.ts';
import * as mediaTypes from '../oci/media-type.ts';
import { BlobFixture } from '../testing/image-fixture.ts';
import { needs } from '../testing/need.ts';
import * as t from '../testing/tree.ts';
import { chooseManifest, loadImage } from './load.ts';

const LAYERS = [t.tree({ a: t.file('1') }), t.tree({ b: t.file('2') })];
const ARM = { os: 'linux', architecture: 'arm64', variant: 'v8' };
const AMD = { os: 'linux', architecture: 'amd64' };

const fails = (loading: Promise<unknown>, code: ErrorCode, message = /./): Promise<void> =>
  assert.rejects(loading, { code, message });

/** A manifest of any shape over a good config and one good layer. */
async function manifest(patch: Record<string, unknown>): Promise<[BlobFixture, Descriptor]> {
  const blobs = new BlobFixture();
  const { config, layers } = await blobs.image(LAYERS.slice(0, 1));
  const document = { schemaVersion: 2, config, layers, ...patch };
  return [blobs, blobs.addJson(mediaTypes.OCI_MANIFEST, document)];
}

describe('loadImage', () => {
  test('gives the documents, and layers that pair stored bytes with diffIDs', async () => {
    const blobs = new BlobFixture();
    const made = await blobs.image(LAYERS, { config: { Cmd: ['a'] } });
    const image = await loadImage(blobs, made.descriptor);
    assert.deepEqual(image.config.config?.Cmd, ['a']);
    assert.equal(sha256(image.configBytes), made.config.digest);
    assert.equal(sha256(image.manifestBytes), made.descriptor.digest);
    assert.deepEqual(
      image.layers.map(({ descriptor, diffId }) => [descriptor.digest, diffId]),
      made.layers.map(({ digest }, at) => [digest, made.diffIds[at]]),
    );
    const bytes = Buffer.concat(await Array.fromAsync(image.layers[1]!.open()));
    assert.equal(sha256(bytes), made.layers[1]!.digest);
  });

  test('chooses by platform, through an index in an index, and tells the way', async () => {
    const blobs = new BlobFixture();
    const [amd, arm] = [await blobs.image(LAYERS), await blobs.image(LAYERS, { platform: ARM })];
    const inner = blobs.index([
      { ...amd.descriptor, platform: AMD },
      { ...arm.descriptor, platform: ARM },
    ]);
    const outer = blobs.index([inner]);
    for (const [platform, { descriptor }] of [
      [AMD, amd],
      [ARM, arm],
    ] as const) {
      const image = await loadImage(blobs, outer, { platform });
      assert.equal(image.descriptor.digest, descriptor.digest);
    }
    const { indexes } = await chooseManifest(blobs, outer, { platform: ARM });
    assert.deepEqual(
      indexes.map(({ digest }) => digest),
      [outer.digest, inner.digest],
    );
    const s390x = { os: 'linux', architecture: 's390x' };
    await fails(loadImage(blobs, outer, { platform: s390x }), 'NOT_FOUND', /linux\/s390x/);
  });

  test('a single image is refused only when another platform was asked for', async () => {
    const blobs = new BlobFixture();
    const { descriptor } = await blobs.image(LAYERS, {
      platform: { os: 'plan9', architecture: 'mips' },
    });
    assert.equal((await loadImage(blobs, descriptor)).config.os, 'plan9');
    await fails(loadImage(blobs, descriptor, { platform: AMD }), 'NOT_FOUND', /plan9\/mips/);
  });

  test('a manifest whose layers are not those of its config is refused', async () => {
    const [blobs, target] = await manifest({ layers: [] });
    await fails(loadImage(blobs, target), 'INVALID_ARGUMENT', /0 layers, its config 1/);
  });

  test('artifacts are refused by their name, also those that pretend to be images', async () => {
    const helm = {
      mediaType: 'application/vnd.cncf.helm.config.v1+json',
      digest: sha256('x'),
      size: 1,
    };
    await fails(loadImage(...(await manifest({ config: helm }))), 'FAILED_PRECONDITION', /helm/);
    const signed = {
      mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
      digest: sha256('x'),
      size: 1,
    };
    await fails(
      loadImage(...(await manifest({ layers: [signed] }))),
      'FAILED_PRECONDITION',
      /cosign/,
    );
  });

  test('a document that is not what its digest says is never parsed', async () => {
    const blobs = new BlobFixture();
    const { descriptor, config } = await blobs.image(LAYERS);
    blobs.blobs.set(config.digest, Buffer.from('{'.padEnd(config.size)));
    await fails(loadImage(blobs, descriptor), 'DATA_LOSS');
    blobs.blobs.set(descriptor.digest, Buffer.from('{}'));
    await fails(loadImage(blobs, descriptor), 'DATA_LOSS');
  });

  test('a descriptor that announces a huge document is refused before anything is fetched', async () => {
    const blobs = new BlobFixture();
    const digest = sha256('not even there');
    const huge = { mediaType: mediaTypes.OCI_MANIFEST, digest, size: 2 ** 40 };
    await fails(loadImage(blobs, huge), 'INVALID_ARGUMENT');
  });

  test('indexes that lead nowhere end', async () => {
    const blobs = new BlobFixture();
    let target = (await blobs.image(LAYERS)).descriptor;
    for (let depth = 0; depth < 10; depth++) target = blobs.index([target]);
    await fails(loadImage(blobs, target), 'INVALID_ARGUMENT', /nested/);
    await fails(loadImage(blobs, blobs.index([])), 'NOT_FOUND');
  });

  test('an aborted signal ends loading with its reason', async () => {
    const blobs = new BlobFixture();
    const { descriptor } = await blobs.image(LAYERS);
    const signal = AbortSignal.abort(new Error('enough'));
    await assert.rejects(loadImage(blobs, descriptor, { signal }), /enough/);
  });

  test('skopeo reads the same image from a layout', { skip: needs('skopeo') }, async () => {
    await using dir = await mkdtempDisposable(`${tmpdir()}/image-`);
    const blobs = new BlobFixture();
    const { descriptor, diffIds } = await blobs.image(LAYERS, { compression: 'gzip' });
    await blobs.writeLayout(dir.path, { fixture: descriptor });
    const told = execFileSync('skopeo', ['inspect', '--config', `oci:${dir.path}:fixture`]);
    const { rootfs } = JSON.parse(told.toString()) as { rootfs: { diff_ids: string[] } };
    assert.deepEqual(rootfs.diff_ids, diffIds);
  });
});
