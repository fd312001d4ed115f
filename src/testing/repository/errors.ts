import assert from 'node:assert/strict';
import { sha256 } from '../../oci/digest.ts';
import type { Check } from '../repository.ts';
import { codesOf } from './client.ts';

const NOT_NAMES: readonly string[] = [
  'UPPER/case',
  '../../etc',
  'a/../b',
  'a//b',
  '%2e%2e/%2e%2e/etc',
  'a/%2e%2e/b',
  '-a',
  'a-',
  'a/_b',
  `${'a/'.repeat(127)}aa`,
];

/** Names and paths that are none. */
export function testErrors(check: Check): void {
  check(
    'what is not the name of a repository holds nothing and takes nothing',
    async (client) => {
      for (const name of NOT_NAMES) {
        for (const path of [`manifests/latest`, 'tags/list', `blobs/${sha256('')}`]) {
          const reply = await client.send('GET', `/v2/${name}/${path}`);
          assert.ok([400, 404].includes(reply.status), `${name}/${path}: ${reply.status}`);
        }
        const { status } = await client.send('POST', `/v2/${name}/blobs/uploads/`);
        assert.ok([400, 404].includes(status), `${name}: ${status}`);
      }
    },
    'checked names',
  );

  check(
    'what is not a digest is 400 or 404',
    async (client) => {
      const name = client.repository();
      for (const digest of ['sha256:abc', `sha256:${'A'.repeat(64)}`, 'md5:00', 'sha256:..%2f..'])
        for (const path of [`blobs/${digest}`, `manifests/${digest}`]) {
          const { status } = await client.send('GET', `/v2/${name}/${path}`);
          assert.ok([400, 404].includes(status), `${path}: ${status}`);
        }
    },
    'checked digests',
  );

  check('an upload that is not there is 404', async (client) => {
    const name = client.repository();
    const path = `/v2/${name}/blobs/uploads/00000000-0000-4000-8000-000000000000`;
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const reply = await client.send(method, path);
      assert.equal(reply.status, 404);
      assert.match(codesOf(reply).join(), /^BLOB_UPLOAD_(?:UNKNOWN|INVALID)$/);
    }
  });
}
