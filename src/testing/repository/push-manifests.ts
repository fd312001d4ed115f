import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { sha256 } from '../../oci/digest.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../../oci/media-type.ts';
import type { Check } from '../repository.ts';
import { codesOf, index, locationOf, sha512 } from './client.ts';

/** Push of manifests: what is accepted, and what must not be. */
export function testPushManifests(check: Check): void {
  check('PUT tells where the manifest is and what it hashes to', async (client) => {
    const name = client.repository();
    const { bytes, descriptor, reply } = await client.pushManifest(name, await client.image(name));
    assert.equal(reply.headers['docker-content-digest'], descriptor.digest);
    assert.deepEqual((await client.send('GET', locationOf(reply.headers))).bytes, bytes);
  });

  check('a manifest can be pushed again', async (client) => {
    const name = client.repository();
    const image = await client.image(name);
    await client.pushManifest(name, image, 'v1');
    await client.pushManifest(name, image, 'v1');
    await client.pushManifest(name, image, 'v2');
  });

  check('a tag moves to what was pushed last, and the old manifest stays', async (client) => {
    const name = client.repository();
    const one = await client.pushManifest(name, await client.image(name), 'latest');
    const two = await client.pushManifest(name, await client.image(name), 'latest');
    const digestOf = async (reference: string): Promise<unknown> =>
      (await client.send('HEAD', `/v2/${name}/manifests/${reference}`)).headers[
        'docker-content-digest'
      ];
    assert.equal(await digestOf('latest'), two.descriptor.digest);
    assert.equal(await digestOf(one.descriptor.digest), one.descriptor.digest);
  });

  check('a manifest that does not hash to its digest is DIGEST_INVALID', async (client) => {
    const name = client.repository();
    const bytes = JSON.stringify(await client.image(name));
    const digest = sha256(randomBytes(8));
    const reply = await client.putManifest(name, digest, bytes, OCI_MANIFEST);
    assert.equal(reply.status, 400);
    assert.deepEqual(codesOf(reply), ['DIGEST_INVALID']);
  });

  check('a manifest whose blobs are missing is refused, and no tag moves', async (client) => {
    const name = client.repository();
    const { descriptor } = await client.pushManifest(name, await client.image(name), 'v1');
    const missing = { mediaType: 'x/y', digest: sha256(randomBytes(8)), size: 8 };
    const document = { ...(await client.image(name)), layers: [missing] };
    const reply = await client.putManifest(name, 'v1', JSON.stringify(document), OCI_MANIFEST);
    assert.ok([400, 404].includes(reply.status), String(reply.status));
    assert.ok(codesOf(reply).includes('MANIFEST_BLOB_UNKNOWN'));
    const head = await client.send('HEAD', `/v2/${name}/manifests/v1`);
    assert.equal(head.headers['docker-content-digest'], descriptor.digest);
  });

  check(
    'what is not a manifest is MANIFEST_INVALID',
    async (client) => {
      const name = client.repository();
      for (const text of ['', 'nonsense', '[]', '{}', '{"schemaVersion":2}', 'null']) {
        const reply = await client.putManifest(name, 'v1', text, OCI_MANIFEST);
        assert.equal(reply.status, 400, text);
        assert.deepEqual(codesOf(reply), ['MANIFEST_INVALID'], text);
      }
    },
    'manifest validation',
  );

  check(
    'a document that is a manifest to some and an index to others is refused',
    async (client) => {
      const name = client.repository();
      const image = await client.image(name);
      const both = JSON.stringify({ ...image, manifests: [] });
      const asIndex = JSON.stringify(image);
      for (const [text, type] of [
        [both, OCI_MANIFEST],
        [asIndex, OCI_INDEX],
      ] as const) {
        const reply = await client.putManifest(name, 'v1', text, type);
        assert.equal(reply.status, 400);
      }
    },
  );

  check('a manifest of almost 4 MB is accepted', async (client) => {
    const name = client.repository();
    const annotations = Object.fromEntries(
      Array.from({ length: 390 }, (_, i) => [`large-${i}`, 'A'.repeat(10_000)]),
    );
    const image = await client.image(name, { annotations });
    const { bytes } = await client.pushManifest(name, image, 'large');
    const reply = await client.send('GET', `/v2/${name}/manifests/large`);
    // Not deepEqual: showing how 4 MB differ takes minutes.
    assert.ok(reply.bytes.equals(bytes));
  });

  check(
    'a manifest of more than 4 MiB is 413',
    async (client) => {
      const name = client.repository();
      const image = await client.image(name, { annotations: { a: 'A'.repeat(4 * 1024 ** 2) } });
      const reply = await client.putManifest(name, 'v1', JSON.stringify(image), OCI_MANIFEST);
      assert.equal(reply.status, 413);
    },
    'manifest size limit',
  );

  check('an index, an index of indexes, and an empty index', async (client) => {
    const name = client.repository();
    const image = await client.pushManifest(name, await client.image(name));
    const inner = await client.pushManifest(name, index([image.descriptor]));
    const outer = await client.pushManifest(name, index([inner.descriptor]), 'outer');
    await client.pushManifest(name, index([]), 'empty');
    const reply = await client.send('GET', `/v2/${name}/manifests/outer`);
    assert.equal(reply.headers['content-type'], OCI_INDEX);
    assert.deepEqual(reply.bytes, outer.bytes);
  });

  check('an index whose manifests are missing is refused', async (client) => {
    const name = client.repository();
    const missing = { mediaType: OCI_MANIFEST, digest: sha256(randomBytes(8)), size: 8 };
    const reply = await client.putManifest(name, 'v1', JSON.stringify(index([missing])), OCI_INDEX);
    assert.ok([400, 404].includes(reply.status), String(reply.status));
    assert.ok(codesOf(reply).includes('MANIFEST_BLOB_UNKNOWN'));
  });

  check('fields that nobody knows are kept', async (client) => {
    const name = client.repository();
    const image = await client.image(name, { 'org.example.extra': { a: [1, null] } });
    const { bytes } = await client.pushManifest(name, image, 'v1');
    assert.deepEqual((await client.send('GET', `/v2/${name}/manifests/v1`)).bytes, bytes);
  });

  check(
    'layers that must not be redistributed need not be pushed',
    async (client) => {
      const name = client.repository();
      const layer = {
        mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
        digest: sha256(randomBytes(8)),
        size: 12_345,
        urls: ['https://example.com/layer'],
      };
      await client.pushManifest(name, await client.image(name, { layers: [layer] }), 'v1');
    },
    'foreign layers',
  );

  check(
    'a manifest may be known by its sha512',
    async (client) => {
      const name = client.repository();
      const bytes = Buffer.from(JSON.stringify(await client.image(name)));
      const reply = await client.putManifest(name, sha512(bytes), bytes, OCI_MANIFEST);
      assert.equal(reply.status, 201);
      assert.equal(reply.headers['docker-content-digest'], sha512(bytes));
      assert.deepEqual((await client.send('GET', locationOf(reply.headers))).bytes, bytes);
    },
    'sha512 manifests',
  );
}
