import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Descriptor } from '../../oci/descriptor.ts';
import { sha256 } from '../../oci/digest.ts';
import type { Check } from '../repository.ts';
import { codesOf, index, jsonOf } from './client.ts';

/** Content management: what deletion removes, and what it leaves. */
export function testManagement(check: Check): void {
  check(
    'a deleted tag is gone, its manifest and other tags stay',
    async (client) => {
      const name = client.repository();
      const image = await client.image(name);
      const { descriptor } = await client.pushManifest(name, image, 'v1');
      await client.pushManifest(name, image, 'v2');
      assert.equal((await client.send('DELETE', `/v2/${name}/manifests/v1`)).status, 202);
      const status = async (reference: string): Promise<number> =>
        (await client.send('HEAD', `/v2/${name}/manifests/${reference}`)).status;
      assert.equal(await status('v1'), 404);
      assert.equal(await status('v2'), 200);
      assert.equal(await status(descriptor.digest), 200);
    },
    'deletion of tags',
  );

  check('a deleted manifest is gone, and its tags with it', async (client) => {
    const name = client.repository();
    const { descriptor } = await client.pushManifest(name, await client.image(name), 'v1');
    const other = await client.pushManifest(name, await client.image(name), 'v2');
    const path = `/v2/${name}/manifests/${descriptor.digest}`;
    assert.equal((await client.send('DELETE', path)).status, 202);
    for (const gone of [path, `/v2/${name}/manifests/v1`])
      assert.equal((await client.send('GET', gone)).status, 404);
    const reply = await client.send('GET', `/v2/${name}/manifests/v2`);
    assert.deepEqual(reply.bytes, other.bytes);
    const tags = await client.send('GET', `/v2/${name}/tags/list`);
    assert.deepEqual(jsonOf(tags), { name, tags: ['v2'] });
  });

  check('a deleted blob is gone', async (client) => {
    const name = client.repository();
    const { descriptor } = await client.pushBlob(name);
    const path = `/v2/${name}/blobs/${descriptor.digest}`;
    assert.equal((await client.send('DELETE', path)).status, 202);
    assert.equal((await client.send('GET', path)).status, 404);
    assert.equal((await client.send('HEAD', path)).status, 404);
  });

  check('what is not there cannot be deleted', async (client) => {
    const name = client.repository();
    await client.pushBlob(name);
    const digest = sha256(randomBytes(8));
    for (const [path, code] of [
      [`/v2/${name}/blobs/${digest}`, 'BLOB_UNKNOWN'],
      [`/v2/${name}/manifests/${digest}`, 'MANIFEST_UNKNOWN'],
    ] as const) {
      const reply = await client.send('DELETE', path);
      assert.equal(reply.status, 404);
      assert.deepEqual(codesOf(reply), [code]);
    }
  });

  check('what is deleted in one repository stays in the others', async (client) => {
    const [name, other] = [client.repository(), client.repository()];
    const { bytes, descriptor } = await client.pushBlob(name);
    const query = new URLSearchParams({ mount: descriptor.digest, from: name }).toString();
    await client.send('POST', `/v2/${other}/blobs/uploads/?${query}`);
    await client.send('DELETE', `/v2/${name}/blobs/${descriptor.digest}`);
    const reply = await client.send('GET', `/v2/${other}/blobs/${descriptor.digest}`);
    assert.deepEqual(reply.bytes, bytes);
  });

  check('what was deleted can be pushed again', async (client) => {
    const name = client.repository();
    const image = await client.image(name);
    const { descriptor, bytes } = await client.pushManifest(name, image, 'v1');
    const path = `/v2/${name}/manifests/${descriptor.digest}`;
    await client.send('DELETE', path);
    await client.pushManifest(name, image, 'v1');
    assert.deepEqual((await client.send('GET', path)).bytes, bytes);
  });

  check(
    'what a manifest references cannot be deleted before it',
    async (client) => {
      const name = client.repository();
      const document = await client.image(name);
      const image = await client.pushManifest(name, document);
      const outer = await client.pushManifest(name, index([image.descriptor]), 'v1');
      const { config } = document as { config?: Descriptor };
      const blob = `/v2/${name}/blobs/${config!.digest}`;
      const inner = `/v2/${name}/manifests/${image.descriptor.digest}`;
      for (const path of [blob, inner]) {
        assert.equal((await client.send('DELETE', path)).status, 405);
        assert.equal((await client.send('HEAD', path)).status, 200);
      }
      for (const path of [`/v2/${name}/manifests/${outer.descriptor.digest}`, inner, blob])
        assert.equal((await client.send('DELETE', path)).status, 202);
    },
    'whole repositories',
  );
}
