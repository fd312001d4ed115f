import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OCI_CONFIG, OCI_MANIFEST } from '../../oci/media-type.ts';
import { BlobFixture } from '../../testing/image-fixture.ts';
import { file, tree } from '../../testing/tree.ts';
import { openEngine } from '../open.ts';

test('an image that does not say when it was made is older than any limit', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-gc-'));
  const [root, layout] = [join(dir.path, 'store'), join(dir.path, 'layout')];
  const fixture = new BlobFixture();
  const { layers, diffIds } = await fixture.image([tree({ a: file('a') })]);
  const config = fixture.addJson(OCI_CONFIG, {
    created: '',
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers };
  await fixture.writeLayout(layout, { tag: fixture.addJson(OCI_MANIFEST, manifest) });

  await using engine = await openEngine({ root, driver: 'tar' });
  await engine.load(layout);
  const { images } = await engine.prune({ createdBefore: new Date('2000-01-01') });
  assert.deepEqual(images, [config.digest]);
});
