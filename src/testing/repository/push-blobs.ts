import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '../../oci/digest.ts';
import type { Check } from '../repository.ts';
import { type Client, codesOf, locationOf, type Reply, sha512, withDigest } from './client.ts';

const A = randomBytes(1000);
const B = randomBytes(700);
const BOTH = Buffer.concat([A, B]);

/** Push of blobs: in one piece, in chunks, as a stream, from another repository. */
export function testPushBlobs(check: Check): void {
  const stored = async (client: Client, name: string, bytes: Buffer): Promise<void> => {
    const reply = await client.send('GET', `/v2/${name}/blobs/${sha256(bytes)}`);
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.bytes, bytes);
  };

  check('POST, then PUT of the whole blob', async (client) => {
    const name = client.repository();
    const path = withDigest(await client.startUpload(name), sha256(A));
    const reply = await client.send('PUT', path, { body: A });
    assert.equal(reply.status, 201);
    const again = await client.send('GET', locationOf(reply.headers));
    assert.deepEqual(again.bytes, A);
  });

  check(
    'a single POST of the whole blob',
    async (client) => {
      const name = client.repository();
      const path = withDigest(`/v2/${name}/blobs/uploads/`, sha256(A));
      const reply = await client.send('POST', path, { body: A });
      assert.equal(reply.status, 201);
      assert.ok(reply.headers.location);
      await stored(client, name, A);
    },
    'single POST',
  );

  check('chunks by PATCH, closed by an empty PUT', async (client) => {
    const name = client.repository();
    const first = await patch(client, await client.startUpload(name), A, 0);
    assert.equal(first.status, 202);
    assert.equal(first.headers.range, `0-${A.byteLength - 1}`);
    const second = await patch(client, locationOf(first.headers), B, A.byteLength);
    assert.equal(second.headers.range, `0-${BOTH.byteLength - 1}`);
    const path = withDigest(locationOf(second.headers), sha256(BOTH));
    assert.equal((await client.send('PUT', path)).status, 201);
    await stored(client, name, BOTH);
  });

  check('the last chunk may come with the closing PUT', async (client) => {
    const name = client.repository();
    const first = await patch(client, await client.startUpload(name), A, 0);
    const path = withDigest(locationOf(first.headers), sha256(BOTH));
    const headers = { 'content-range': rangeOf(B, A.byteLength) };
    assert.equal((await client.send('PUT', path, { headers, body: B })).status, 201);
    await stored(client, name, BOTH);
  });

  check(
    'a chunk out of order is 416 and leaves the upload as it was',
    async (client) => {
      const name = client.repository();
      const start = await client.startUpload(name);
      assert.equal((await patch(client, start, B, A.byteLength)).status, 416);
      const first = await patch(client, start, A, 0);
      assert.equal(first.status, 202);
      assert.equal((await patch(client, locationOf(first.headers), A, 0)).status, 416);

      const status = await client.send('GET', locationOf(first.headers));
      assert.equal(status.status, 204);
      assert.equal(status.headers.range, `0-${A.byteLength - 1}`);
      const second = await patch(client, locationOf(status.headers), B, A.byteLength);
      const path = withDigest(locationOf(second.headers), sha256(BOTH));
      assert.equal((await client.send('PUT', path)).status, 201);
      await stored(client, name, BOTH);
    },
    'chunk order',
  );

  check('a stream of unknown length by PATCH', async (client) => {
    const name = client.repository();
    const body = (async function* () {
      yield A;
      yield B;
    })();
    const reply = await client.send('PATCH', await client.startUpload(name), { body });
    assert.equal(reply.status, 202);
    assert.equal(reply.headers.range, `0-${BOTH.byteLength - 1}`);
    const path = withDigest(locationOf(reply.headers), sha256(BOTH));
    assert.equal((await client.send('PUT', path)).status, 201);
    await stored(client, name, BOTH);
  });

  check(
    'what arrived before the connection was lost need not be sent again',
    async (client) => {
      const name = client.repository();
      const start = await client.startUpload(name);
      await sendPart(client, start, A, BOTH.byteLength);
      const status = await waitForBytes(client, start, A.byteLength);
      const second = await patch(client, locationOf(status.headers), B, A.byteLength);
      assert.equal(second.status, 202);
      const path = withDigest(locationOf(second.headers), sha256(BOTH));
      assert.equal((await client.send('PUT', path)).status, 201);
      await stored(client, name, BOTH);
    },
    'resumption in mid-chunk',
  );

  check(
    'bytes that do not hash to the digest are DIGEST_INVALID, and not stored',
    async (client) => {
      const name = client.repository();
      const path = withDigest(await client.startUpload(name), sha256(A));
      const reply = await client.send('PUT', path, { body: B });
      assert.equal(reply.status, 400);
      assert.deepEqual(codesOf(reply), ['DIGEST_INVALID']);
      for (const bytes of [A, B]) {
        const head = await client.send('HEAD', `/v2/${name}/blobs/${sha256(bytes)}`);
        assert.equal(head.status, 404);
      }
    },
  );

  check('a cancelled upload is gone', async (client) => {
    const start = await client.startUpload(client.repository());
    assert.equal((await client.send('DELETE', start)).status, 204);
    const reply = await client.send('GET', start);
    assert.equal(reply.status, 404);
    assert.deepEqual(codesOf(reply), ['BLOB_UPLOAD_UNKNOWN']);
  });

  check('a blob is mounted from another repository without being sent', async (client) => {
    const [from, name] = [client.repository(), client.repository()];
    const { bytes, descriptor } = await client.pushBlob(from);
    const query = new URLSearchParams({ mount: descriptor.digest, from }).toString();
    const reply = await client.send('POST', `/v2/${name}/blobs/uploads/?${query}`);
    assert.equal(reply.status, 201);
    assert.deepEqual((await client.send('GET', locationOf(reply.headers))).bytes, bytes);
  });

  check('what cannot be mounted becomes an upload', async (client) => {
    const [other, name] = [client.repository(), client.repository()];
    const digest = sha256(A);
    for (const from of [{ from: other }, {}]) {
      const query = new URLSearchParams({ mount: digest, ...from }).toString();
      const reply = await client.send('POST', `/v2/${name}/blobs/uploads/?${query}`);
      assert.equal(reply.status, 202);
      const path = withDigest(locationOf(reply.headers), digest);
      assert.equal((await client.send('PUT', path, { body: A })).status, 201);
    }
    await stored(client, name, A);
  });

  check('two uploads of one blob at once both succeed', async (client) => {
    const name = client.repository();
    const one = withDigest(await client.startUpload(name), sha256(A));
    const two = withDigest(await client.startUpload(name), sha256(A));
    const replies = await Promise.all(
      [one, two].map((path) => client.send('PUT', path, { body: A })),
    );
    assert.deepEqual(
      replies.map(({ status }) => status),
      [201, 201],
    );
    await stored(client, name, A);
  });

  check('a blob may be known by its sha512', async (client) => {
    const name = client.repository();
    const path = withDigest(await client.startUpload(name), sha512(A));
    assert.equal((await client.send('PUT', path, { body: A })).status, 201);
    const reply = await client.send('GET', `/v2/${name}/blobs/${sha512(A)}`);
    assert.deepEqual(reply.bytes, A);
  });
}

const rangeOf = (chunk: Buffer, at: number): string => `${at}-${at + chunk.byteLength - 1}`;

const patch = (client: Client, path: string, body: Buffer, at: number): Promise<Reply> =>
  client.send('PATCH', path, { headers: { 'content-range': rangeOf(body, at) }, body });

/** A PATCH that announces `length` bytes, sends fewer, and loses its connection. */
async function sendPart(client: Client, path: string, part: Buffer, length: number): Promise<void> {
  const { hostname, port, host } = new URL(client.url);
  const { pathname, search } = new URL(path, client.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(
    `PATCH ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${length}\r\n` +
      `Content-Type: application/octet-stream\r\n${client.authorizationLine}\r\n`,
  );
  socket.end(part);
  socket.resume();
  await once(socket, 'close');
}

/** The registry learns of the loss when it does. */
async function waitForBytes(client: Client, path: string, bytes: number): Promise<Reply> {
  for (let attempt = 0; ; attempt++) {
    const reply = await client.send('GET', path);
    assert.equal(reply.status, 204);
    if (reply.headers.range === `0-${bytes - 1}`) return reply;
    assert.ok(attempt < 3000, `the upload has ${reply.headers.range}`);
    await sleep(20);
  }
}
