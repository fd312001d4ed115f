import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Layer } from '../layer/layer.ts';
import { type DiffId, sha256 } from '../oci/digest.ts';
import { DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, OCI_LAYER } from '../oci/media-type.ts';
import { composeImage } from './compose.ts';

const layer = (mediaType: string): Layer => {
  const bytes = Buffer.from('not looked at');
  const digest = sha256(bytes);
  return {
    descriptor: { mediaType, digest, size: bytes.length },
    diffId: digest as DiffId,
    async *open() {
      yield bytes;
    },
  };
};

const config = ({ diffId }: Layer): object => ({
  architecture: 'amd64',
  os: 'linux',
  config: { Cmd: ['true'], Unknown: 7 },
  rootfs: { type: 'layers', diff_ids: [diffId] },
});

test('the documents of a composed image name each other, and fields nobody knows are kept', () => {
  const one = layer(OCI_LAYER);
  const bytes = Buffer.from(JSON.stringify(config(one)));
  const { image, documents } = composeImage(bytes, [one], { annotations: { a: 'b' } });
  const [manifest, described] = documents;
  assert.equal(manifest.target.digest, sha256(image.manifestBytes));
  assert.deepEqual(image.descriptor, manifest.target);
  assert.deepEqual(image.manifest.config, described.target);
  assert.deepEqual(image.manifest.layers, [one.descriptor]);
  assert.deepEqual(image.manifest.annotations, { a: 'b' });
  assert.deepEqual(described.bytes, bytes);
  assert.deepEqual(image.config.config?.Cmd, ['true']);
});

test("an image in docker's format has docker's media types", () => {
  const one = layer(DOCKER_LAYER);
  const { image } = composeImage(Buffer.from(JSON.stringify(config(one))), [one], {
    format: 'docker',
  });
  assert.equal(image.descriptor.mediaType, DOCKER_MANIFEST);
  assert.equal(image.manifest.config.mediaType, DOCKER_CONFIG);
});

test('the same config and layers make the same image', () => {
  const one = layer(OCI_LAYER);
  const bytes = Buffer.from(JSON.stringify(config(one)));
  const [first, second] = [composeImage(bytes, [one]), composeImage(bytes, [one])];
  assert.equal(first.image.descriptor.digest, second.image.descriptor.digest);
});
