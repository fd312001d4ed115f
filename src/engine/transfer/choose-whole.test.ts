import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MicaError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { sha256 } from '../../oci/digest.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../../oci/media-type.ts';
import { hostPlatform } from '../../oci/platform.ts';
import { chooseWhole, type PartialSource } from './choose-whole.ts';

/** A place that has what was put there, and counts how often it is asked. */
function place() {
  const blobs = new Map<string, Buffer>();
  let asked = 0;
  const source: PartialSource = {
    has: async ({ digest }) => {
      asked++;
      return blobs.has(digest);
    },
    async *fetch({ digest }) {
      asked++;
      const bytes = blobs.get(digest);
      if (bytes === undefined) throw new MicaError('NOT_FOUND', `${digest} is not there`);
      yield bytes;
    },
  };
  const put = (mediaType: string, content: object): Descriptor => {
    const bytes = Buffer.from(JSON.stringify(content));
    const digest = sha256(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const index = (manifests: readonly Descriptor[]): Descriptor =>
    put(OCI_INDEX, { schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  return { source, put, index, asked: () => asked };
}

/** For a machine that this one is not. */
const OTHER = hostPlatform().architecture === 's390x' ? 'riscv64' : 's390x';

function foreignImage({ put }: ReturnType<typeof place>): Descriptor {
  const layer = put(OCI_LAYER, { not: 'looked into' });
  const config = put(OCI_CONFIG, {
    os: 'linux',
    architecture: OTHER,
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
  return {
    ...put(OCI_MANIFEST, manifest),
    platform: { os: 'linux', architecture: OTHER },
  };
}

test('an image that its index lists twice is still the only one that is there', async () => {
  const here = place();
  const image = foreignImage(here);
  const { read } = await chooseWhole(here.source, [here.index([image, image])], {});
  assert.equal(read.image.descriptor.digest, image.digest);
});

test('indexes that list the next one many times are each read once', async () => {
  const here = place();
  const image = foreignImage(here);
  let target = here.index([image]);
  for (let level = 0; level < 3; level++)
    target = here.index(Array.from({ length: 40 }, () => target));
  const { read } = await chooseWhole(here.source, [target], {});
  assert.equal(read.image.descriptor.digest, image.digest);
  assert.ok(here.asked() < 100, `asked ${here.asked()} times`);
});
