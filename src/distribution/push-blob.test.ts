import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '../oci/digest.ts';
import { Client, codesOf, locationOf, withDigest } from '../testing/repository/client.ts';
import { openTemporaryRegistry, type TemporaryRegistry } from './temporary.ts';

const token = 'a-token-for-tests';
const writable = { token };
const clientOf = ({ url }: TemporaryRegistry): Client =>
  new Client({ url, authorization: `Bearer ${token}` });
const files = async (registry: TemporaryRegistry): Promise<number> =>
  (await readdir(registry.backend.writer.uploads)).length;

test('a blob larger than the limit is 413, and its upload is gone', async () => {
  await using registry = await openTemporaryRegistry({ writable, maxUploadSize: 1000 });
  const client = clientOf(registry);
  const start = await client.startUpload('a');
  const reply = await client.send('PATCH', start, { body: randomBytes(1001) });
  assert.equal(reply.status, 413);
  assert.equal((await client.send('GET', start)).status, 404);
  assert.equal(await files(registry), 0);
  await client.pushBlob('a', randomBytes(1000));
});

test('uploads beyond the limit are 429 until others end', async () => {
  await using registry = await openTemporaryRegistry({ writable, maxUploads: 2 });
  const client = clientOf(registry);
  const first = await client.startUpload('a');
  await client.startUpload('a');
  const reply = await client.send('POST', '/v2/a/blobs/uploads/');
  assert.equal(reply.status, 429);
  assert.deepEqual(codesOf(reply), ['TOOMANYREQUESTS']);
  assert.ok(reply.headers['retry-after']);
  await client.send('DELETE', first);
  await client.startUpload('a');
});

test('an upload that nobody touches is forgotten', async () => {
  await using registry = await openTemporaryRegistry({ writable, uploadExpiry: 60 });
  const client = clientOf(registry);
  const start = await client.startUpload('a');
  while ((await files(registry)) > 0) await sleep(20);
  assert.equal((await client.send('GET', start)).status, 404);
});

test('what is not finished when the server closes leaves no file', async () => {
  const registry = await openTemporaryRegistry({ writable });
  const client = clientOf(registry);
  await client.send('PATCH', await client.startUpload('a'), { body: 'abc' });
  assert.equal(await files(registry), 1);
  await registry[Symbol.asyncDispose]();
  await assert.rejects(files(registry), { code: 'ENOENT' });
});

test('only the last chunk may be smaller than the registry’s minimum', async () => {
  await using registry = await openTemporaryRegistry({ writable, minChunkLength: 100 });
  const client = clientOf(registry);
  const reply = await client.send('POST', '/v2/a/blobs/uploads/');
  assert.equal(reply.headers['oci-chunk-min-length'], '100');
  const blob = randomBytes(150);
  const start = locationOf(reply.headers);
  await client.send('PATCH', start, { body: blob.subarray(0, 100) });
  await client.send('PATCH', start, { body: blob.subarray(100) });
  const short = await client.send('PATCH', start, { body: 'x' });
  assert.deepEqual([short.status, codesOf(short)], [400, ['SIZE_INVALID']]);
  const done = await client.send('PUT', withDigest(start, sha256(blob)));
  assert.equal(done.status, 201);
});

test('a chunk that is not what its headers say leaves the upload as it was', async () => {
  await using registry = await openTemporaryRegistry({ writable });
  const client = clientOf(registry);
  const start = await client.startUpload('a');
  const stream = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('abc');
  };
  for (const [range, body] of [
    ['0-9', 'abc'],
    ['0-1', 'abc'],
    ['0-9', stream()],
    ['nonsense', 'abc'],
    ['5-2', 'abc'],
  ] as const) {
    const reply = await client.send('PATCH', start, { headers: { 'content-range': range }, body });
    assert.equal(reply.status, 400, range);
    assert.equal((await client.send('GET', start)).headers.range, '0-0');
  }
  await client.send('PATCH', start, { headers: { 'content-range': '0-2' }, body: 'abc' });
  const done = await client.send('PUT', withDigest(start, sha256('abc')));
  assert.equal(done.status, 201);
});

test('a request that hangs gives way to the next one of the same upload', async () => {
  await using registry = await openTemporaryRegistry({ writable });
  const client = clientOf(registry);
  const start = await client.startUpload('a');
  const socket = connect(registry.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  socket.write(
    `PATCH ${start} HTTP/1.1\r\nHost: localhost\r\n${client.authorizationLine}` +
      'Expect: 100-continue\r\nContent-Length: 6\r\n\r\n',
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 100 /);
  socket.write('abc');

  const headers = { 'content-range': '0-5' };
  const reply = await client.send('PATCH', start, { headers, body: 'abcdef' });
  assert.deepEqual([reply.status, reply.headers.range], [202, '0-5']);
  await closed;
});

test('a client that asks first is refused before it sends the body', async () => {
  await using registry = await openTemporaryRegistry();
  const socket = connect(registry.port, '127.0.0.1');
  const closed = once(socket, 'close');
  socket.write(
    'POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n',
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 405 /);
  await closed;
});
