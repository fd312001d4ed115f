import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, rename, truncate } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCode } from '../errors.ts';
import { sha256 } from '../oci/digest.ts';
import { Client, type RegistryUnderTest } from '../testing/repository/client.ts';
import { testRepository } from '../testing/repository.ts';
import type { RegistryBackend } from './backend/backend.ts';
import { storeBackend } from './backend/store.ts';
import type { RequestEvent } from './answer.ts';
import { serveRegistry } from './server.ts';
import { openTemporaryRegistry } from './temporary.ts';

const token = 'a-token-for-tests';
const writable = { token };

testRepository({
  name: 'of a directory',
  async open(): Promise<RegistryUnderTest & AsyncDisposable> {
    const registry = await openTemporaryRegistry({ writable });
    return Object.assign(registry, { authorization: `Bearer ${token}` });
  },
});

const blob = randomBytes(1000);
const writer = (url: string): Client => new Client({ url, authorization: `Bearer ${token}` });
const reader = (url: string): Client => new Client({ url });

test('a registry without a token takes nothing, and says so', async () => {
  await using registry = await openTemporaryRegistry();
  const client = writer(registry.url);
  for (const [method, path] of [
    ['POST', '/v2/a/blobs/uploads/'],
    ['PUT', '/v2/a/manifests/b'],
    ['DELETE', '/v2/a/manifests/b'],
    ['DELETE', `/v2/a/blobs/${sha256(blob)}`],
  ] as const) {
    const reply = await client.send(method, path, { body: 'x' });
    assert.equal(reply.status, 405, method);
    assert.match(reply.bytes.toString(), /"UNSUPPORTED".*read-only/);
  }
  assert.equal((await client.send('GET', '/v2/')).status, 200);
});

test('whoever writes needs the token; whoever reads does not', async () => {
  await using registry = await openTemporaryRegistry({ writable });
  const [anonymous, client] = [reader(registry.url), writer(registry.url)];
  const { descriptor } = await client.pushBlob('a', blob);
  const reply = await anonymous.send('GET', `/v2/a/blobs/${descriptor.digest}`);
  assert.deepEqual(reply.bytes, blob);
  for (const [method, path] of [
    ['POST', '/v2/a/blobs/uploads/'],
    ['PUT', '/v2/a/manifests/b'],
    ['DELETE', `/v2/a/blobs/${descriptor.digest}`],
  ] as const) {
    const refused = await anonymous.send(method, path, { body: 'x' });
    assert.equal(refused.status, 401, method);
    assert.match(String(refused.headers['www-authenticate']), /^Basic realm=/);
  }
});

test('the token is a bearer token or the password of any user; anything else is refused', async () => {
  await using registry = await openTemporaryRegistry({ writable });
  const client = reader(registry.url);
  const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;
  for (const [authorization, status] of [
    [undefined, 401],
    [`Bearer ${token}`, 200],
    [basic(`me:${token}`), 200],
    [basic(`:${token}`), 200],
    [basic(':'), 401],
    [basic('me:wrong'), 401],
    [basic(token), 200],
    [`Bearer ${token}x`, 401],
    ['Bearer ', 401],
    [`Digest ${token}`, 401],
    [token, 401],
  ] as const)
    assert.equal(
      (await client.send('GET', '/v2/', { authorization })).status,
      status,
      String(authorization),
    );
  const wrong = await client.send('GET', '/v2/_catalog', { authorization: basic('me:wrong') });
  assert.equal(wrong.status, 401);
});

test('a writable registry needs a token that is not trivial, and a store that can be written', async () => {
  await using registry = await openTemporaryRegistry();
  const { writer: _, ...rest } = registry.backend;
  const readonly = { ...rest } as RegistryBackend;
  await assert.rejects(
    serveRegistry({ backend: registry.backend, writable: { token: '' } }),
    (error) => isCode(error, 'INVALID_ARGUMENT'),
  );
  await assert.rejects(serveRegistry({ backend: readonly, writable }), (error) =>
    isCode(error, 'INVALID_ARGUMENT'),
  );
});

test('an address that is taken is UNAVAILABLE', async () => {
  await using registry = await openTemporaryRegistry();
  const { backend, port } = registry;
  await assert.rejects(serveRegistry({ backend, port }), (error) => isCode(error, 'UNAVAILABLE'));
});

/** The status of `GET /v2/` with these headers. */
async function statusWith(url: string, headers: Record<string, string>): Promise<number> {
  const asked = request(`${url}/v2/`, { headers, agent: false });
  const answered = once(asked, 'response');
  asked.end();
  const [response] = (await answered) as [{ statusCode: number; resume(): void }];
  response.resume();
  return response.statusCode;
}

test('names that are not this machine’s are refused, since they may have been rebound', async () => {
  await using registry = await openTemporaryRegistry({ hosts: ['Registry.Example'] });
  for (const [host, status] of [
    ['localhost', 200],
    ['LOCALHOST:5000', 200],
    ['127.0.0.1:5000', 200],
    ['[::1]:5000', 200],
    ['192.168.1.7', 200],
    ['registry.example:5000', 200],
    ['attacker.example', 403],
    ['localhost.attacker.example', 403],
    ['127.0.0.1.attacker.example', 403],
    ['a b', 400],
  ] as const)
    assert.equal(await statusWith(registry.url, { host }), status, host);
});

test('requests that web pages make are refused', async () => {
  await using registry = await openTemporaryRegistry();
  for (const [headers, status] of [
    [{ origin: 'http://attacker.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ 'sec-fetch-site': 'none' }, 200],
  ] as const)
    assert.equal(await statusWith(registry.url, headers), status, JSON.stringify(headers));
});

test('what fails inside is 500 without a word about it, and is reported', async () => {
  const failing = new Proxy({} as RegistryBackend, {
    get: () => async () => {
      throw new Error('secret /path/to/it');
    },
  });
  const { promise: event, resolve } = Promise.withResolvers<RequestEvent>();
  await using server = await serveRegistry({ backend: failing, onRequest: resolve });
  const reply = await reader(server.url).send('GET', '/v2/a/tags/list');
  assert.equal(reply.status, 500);
  assert.doesNotMatch(reply.bytes.toString(), /secret|path|Error/);
  const { method, target, status, error } = await event;
  assert.deepEqual([method, target, status], ['GET', '/v2/a/tags/list', 500]);
  assert.match(String(error), /secret/);
});

test('every request is reported, with what was sent', async () => {
  const events: RequestEvent[] = [];
  await using registry = await openTemporaryRegistry({
    writable,
    onRequest: (event) => events.push(event),
  });
  const client = writer(registry.url);
  const { descriptor } = await client.pushBlob('a', randomBytes(100_000));
  await client.send('GET', `/v2/a/blobs/${descriptor.digest}`);
  await client.send('GET', '/v2/nowhere/tags/list');
  assert.deepEqual(
    events.map(({ method, status }) => `${method} ${status}`),
    ['POST 202', 'PUT 201', 'GET 200', 'GET 404'],
  );
  assert.ok(events[2]!.bytes > 100_000);
});

async function openSocket(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

test('a connection on which nothing moves is cut', { timeout: 60_000 }, async () => {
  await using registry = await openTemporaryRegistry({ writable, idleTimeout: 1000 });
  const path = await writer(registry.url).startUpload('a');
  const socket = await openSocket(
    registry.port,
    `PATCH ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Length: 10\r\n\r\nabc`,
  );
  socket.resume();
  await once(socket, 'close');
});

test(
  'a client is not cut off while a blob is brought back for it',
  { timeout: 60_000 },
  async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-slow-'));
    const [root, aside] = [join(directory.path, 'store'), join(directory.path, 'aside')];
    let path = '';
    const restore = async (): Promise<void> => {
      await sleep(2500);
      await rename(aside, path);
    };
    await using backend = await storeBackend(root, { writable: true, restore });
    await using registry = await serveRegistry({ backend, writable, idleTimeout: 1000 });
    const { descriptor } = await writer(registry.url).pushBlob('a', blob);
    ({ path } = (await backend.blob('a', descriptor.digest))!);
    await rename(path, aside);
    const reply = await reader(registry.url).send('GET', `/v2/a/blobs/${descriptor.digest}`);
    assert.ok(reply.bytes.equals(blob));
  },
);

test('a client that trickles its headers is cut off', { timeout: 60_000 }, async () => {
  await using registry = await openTemporaryRegistry({ idleTimeout: 400 });
  const socket = await openSocket(registry.port, 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\n');
  const closed = once(socket, 'close');
  socket.on('error', () => {}).resume();
  const trickle = setInterval(() => socket.write('X: y\r\n'), 50);
  await closed;
  clearInterval(trickle);
});

test('a blob that is damaged on the disk never looks complete', async () => {
  const events: RequestEvent[] = [];
  await using registry = await openTemporaryRegistry({
    writable,
    onRequest: (event) => events.push(event),
  });
  const client = writer(registry.url);
  const { descriptor } = await client.pushBlob('a', blob);
  const stored = await registry.backend.blob('a', descriptor.digest);
  await truncate(stored!.path, 500);
  await assert.rejects(client.send('GET', `/v2/a/blobs/${descriptor.digest}`), {
    code: 'ECONNRESET',
  });
  assert.ok(isCode(events.at(-1)?.error, 'DATA_LOSS'));
});

test('closing lets a download end that is under way, and takes no new connection', async () => {
  const registry = await openTemporaryRegistry({ writable });
  const large = randomBytes(8_000_000);
  const { descriptor } = await writer(registry.url).pushBlob('a', large);
  const asked = request(`${registry.url}/v2/a/blobs/${descriptor.digest}`, { agent: false }).end();
  const [response] = (await once(asked, 'response')) as [NodeJS.ReadableStream];
  const closed = registry[Symbol.asyncDispose]();
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  assert.ok(Buffer.concat(chunks).equals(large));
  await closed;
  await assert.rejects(reader(registry.url).send('GET', '/v2/'), { code: 'ECONNREFUSED' });
});

test('connections beyond the limit are refused', async () => {
  await using registry = await openTemporaryRegistry({ maxConnections: 2 });
  const held = [await openSocket(registry.port, 'GET '), await openSocket(registry.port, 'GET ')];
  const extra = await openSocket(registry.port, 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n');
  extra.on('error', () => {}).resume();
  await once(extra, 'close');
  for (const socket of held) socket.destroy();
});

test('a blob of several buffers arrives as it is, to many at once', async () => {
  await using registry = await openTemporaryRegistry({ writable });
  const client = writer(registry.url);
  const large = randomBytes(3 * 512 * 1024 + 12_345);
  const path = `/v2/a/blobs/${(await client.pushBlob('a', large)).descriptor.digest}`;
  const replies = await Promise.all(
    [0, 1, 511, 524_288, 1_000_000].map(async (start) => {
      const headers = { range: `bytes=${start}-` };
      return { start, reply: await client.send('GET', path, { headers }) };
    }),
  );
  for (const { start, reply } of replies) assert.ok(reply.bytes.equals(large.subarray(start)));
});

test('of requests that are sent at once each waits until the answer before it was taken', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-server-'));
  await using backend = await storeBackend(join(directory.path, 'store'), { writable: true });
  let asked = 0;
  const counting: RegistryBackend = {
    ...backend,
    blob(...key) {
      asked++;
      return backend.blob(...key);
    },
  };
  await using registry = await serveRegistry({ backend: counting, writable });
  // More than a connection holds on its way.
  const large = randomBytes(32 << 20);
  const { descriptor } = await writer(registry.url).pushBlob('a', large);
  const get = `GET /v2/a/blobs/${descriptor.digest} HTTP/1.1\r\nHost: localhost\r\n`;
  asked = 0;
  const left = await openSocket(registry.port, `${get}\r\n`.repeat(100));
  await once(left, 'readable');
  assert.equal(asked, 1);
  left.destroy();

  asked = 0;
  const range = 'Range: bytes=0-9\r\n\r\n';
  const taken = await openSocket(
    registry.port,
    `${`${get}${range}`.repeat(3)}${get}Connection: close\r\n${range}`,
  );
  const answers = Buffer.concat(await Array.fromAsync(taken)).toString('latin1');
  assert.equal(answers.split('HTTP/1.1 206 ').length, 5);
  assert.equal(asked, 4);
});

test('a client that has a blob or manifest is told that it is unchanged', async () => {
  await using registry = await openTemporaryRegistry({ writable });
  const client = writer(registry.url);
  const { descriptor } = await client.pushManifest('a', await client.image('a'), 'v1');
  const first = await client.send('GET', '/v2/a/manifests/v1');
  const headers = { 'if-none-match': String(first.headers.etag) };
  const again = await client.send('GET', '/v2/a/manifests/v1', { headers });
  assert.deepEqual([again.status, again.bytes.byteLength], [304, 0]);
  assert.equal(again.headers['docker-content-digest'], descriptor.digest);
});
