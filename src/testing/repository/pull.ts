import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { sha256 } from '../../oci/digest.ts';
import type { Check } from '../repository.ts';
import { codesOf } from './client.ts';

/** Pull: manifests and blobs, whole and in part. */
export function testPull(check: Check): void {
  check('answers the version check', async (client) => {
    const { status, headers } = await client.send('GET', '/v2/');
    assert.equal(status, 200);
    assert.equal(headers['docker-distribution-api-version'], 'registry/2.0');
  });

  check('a manifest comes back byte for byte, by tag and by digest', async (client) => {
    const name = client.repository();
    const { bytes, descriptor } = await client.pushManifest(name, await client.image(name), 'v1');
    for (const reference of ['v1', descriptor.digest]) {
      const reply = await client.send('GET', `/v2/${name}/manifests/${reference}`);
      assert.equal(reply.status, 200);
      assert.deepEqual(reply.bytes, bytes);
      assert.equal(reply.headers['content-type'], descriptor.mediaType);
      assert.equal(reply.headers['docker-content-digest'], descriptor.digest);
    }
  });

  check('HEAD of a manifest tells its type, size and digest, and sends nothing', async (client) => {
    const name = client.repository();
    const { descriptor } = await client.pushManifest(name, await client.image(name), 'v1');
    const reply = await client.send('HEAD', `/v2/${name}/manifests/v1`);
    assert.equal(reply.status, 200);
    assert.equal(reply.bytes.byteLength, 0);
    assert.equal(reply.headers['content-type'], descriptor.mediaType);
    assert.equal(Number(reply.headers['content-length']), descriptor.size);
    assert.equal(reply.headers['docker-content-digest'], descriptor.digest);
  });

  check('a manifest that is not there is 404 MANIFEST_UNKNOWN', async (client) => {
    const name = client.repository();
    await client.pushManifest(name, await client.image(name), 'v1');
    for (const reference of ['v2', sha256(randomBytes(8))]) {
      const path = `/v2/${name}/manifests/${reference}`;
      const reply = await client.send('GET', path);
      assert.equal(reply.status, 404);
      assert.deepEqual(codesOf(reply), ['MANIFEST_UNKNOWN']);
      assert.equal((await client.send('HEAD', path)).status, 404);
    }
  });

  check('a manifest of a repository that is not there is 404', async (client) => {
    const reply = await client.send('GET', `/v2/${client.repository()}/manifests/v1`);
    assert.equal(reply.status, 404);
  });

  check('a reference that cannot be a tag names nothing', async (client) => {
    const reply = await client.send('GET', `/v2/${client.repository()}/manifests/.INVALID`);
    assert.equal(reply.status, 404);
  });

  check('a blob comes back byte for byte', async (client) => {
    const name = client.repository();
    const { bytes, descriptor } = await client.pushBlob(name, randomBytes(200_000));
    const path = `/v2/${name}/blobs/${descriptor.digest}`;
    const reply = await client.send('GET', path);
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.bytes, bytes);
    assert.equal(reply.headers['docker-content-digest'], descriptor.digest);

    const head = await client.send('HEAD', path);
    assert.equal(head.status, 200);
    assert.equal(head.bytes.byteLength, 0);
    assert.equal(Number(head.headers['content-length']), bytes.byteLength);
  });

  check('a blob of no bytes is a blob', async (client) => {
    const name = client.repository();
    const { descriptor } = await client.pushBlob(name, Buffer.alloc(0));
    const reply = await client.send('GET', `/v2/${name}/blobs/${descriptor.digest}`);
    assert.deepEqual([reply.status, reply.bytes.byteLength], [200, 0]);
  });

  check('a blob that is not there is 404 BLOB_UNKNOWN', async (client) => {
    const name = client.repository();
    await client.pushBlob(name);
    const path = `/v2/${name}/blobs/${sha256(randomBytes(8))}`;
    const reply = await client.send('GET', path);
    assert.equal(reply.status, 404);
    assert.deepEqual(codesOf(reply), ['BLOB_UNKNOWN']);
    assert.equal((await client.send('HEAD', path)).status, 404);
  });

  check('a blob of one repository is not seen in another', async (client) => {
    const { descriptor } = await client.pushBlob(client.repository());
    const other = client.repository();
    await client.pushBlob(other);
    const reply = await client.send('GET', `/v2/${other}/blobs/${descriptor.digest}`);
    assert.equal(reply.status, 404);
  });

  check('ranges of a blob are what they say they are', async (client) => {
    const name = client.repository();
    const { bytes, descriptor } = await client.pushBlob(name, randomBytes(1000));
    const path = `/v2/${name}/blobs/${descriptor.digest}`;
    for (const [range, first, last] of [
      ['bytes=0-0', 0, 0],
      ['bytes=0-99', 0, 99],
      ['bytes=100-899', 100, 899],
      ['bytes=900-', 900, 999],
      ['bytes=900-5000', 900, 999],
      ['bytes=-10', 990, 999],
    ] as const) {
      const reply = await client.send('GET', path, { headers: { range } });
      assert.equal(reply.status, 206, range);
      assert.equal(reply.headers['content-range'], `bytes ${first}-${last}/1000`);
      assert.equal(Number(reply.headers['content-length']), last - first + 1);
      assert.deepEqual(reply.bytes, bytes.subarray(first, last + 1));
    }
  });

  check(
    'a range beyond the end of a blob is 416',
    async (client) => {
      const name = client.repository();
      const { descriptor } = await client.pushBlob(name, randomBytes(1000));
      const path = `/v2/${name}/blobs/${descriptor.digest}`;
      const reply = await client.send('GET', path, { headers: { range: 'bytes=1000-' } });
      assert.equal(reply.status, 416);
      assert.equal(reply.headers['content-range'], 'bytes */1000');
    },
    'answers to unsatisfiable ranges',
  );
}
