import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { selfSigned } from '../../../testing/certificate.ts';
import { serve } from '../../../testing/serve.ts';
import type { HttpRequest } from '../exchange.ts';
import { Wire, type WireOptions } from './wire.ts';

const MIB = 1024 * 1024;
const BIG = randomBytes(5 * MIB + 77);

const wireTo = (url: string, options: Partial<WireOptions> = {}): Wire =>
  new Wire({
    origin: new URL(url),
    tls: { ca: selfSigned().cert },
    timeouts: { connect: 30_000, idle: 30_000 },
    connections: 4,
    ...options,
  });

/** For servers that are not going to send anything more. */
const IMPATIENT: Partial<WireOptions> = { timeouts: { connect: 30_000, idle: 1000 } };

const get = (url: string, extra: Partial<HttpRequest> = {}): HttpRequest => ({
  method: 'GET',
  url: new URL(url),
  headers: { accept: '*/*' },
  ...extra,
});

async function body(wire: Wire, request: HttpRequest): Promise<Buffer> {
  const response = await wire.get(request);
  return Buffer.concat(await Array.fromAsync(response.body, (chunk) => Buffer.from(chunk)));
}

/** A server of raw text: each connection gets what `answer` writes. */
async function raw(answer: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

for (const tls of [false, true])
  for (const chunked of [false, true])
    test(`${chunked ? 'chunked' : 'counted'} bytes arrive ${tls ? 'over TLS' : 'plainly'}, over one connection again and again`, async () => {
      const ports = new Set<number | undefined>();
      await using server = await serve(
        (request, response) => {
          ports.add(request.socket.remotePort);
          if (!chunked) response.setHeader('content-length', BIG.byteLength);
          for (let at = 0; at < BIG.byteLength; at += 99_999)
            response.write(BIG.subarray(at, at + 99_999));
          response.end();
        },
        { tls },
      );
      using wire = wireTo(server.url.replace('127.0.0.1', 'localhost'));
      for (let round = 0; round < 3; round++)
        assert.ok((await body(wire, get(server.url))).equals(BIG));
      assert.equal(ports.size, 1);
    });

test('a certificate that nobody vouches for is refused', async () => {
  await using server = await serve((_, response) => void response.end(), { tls: true });
  using wire = wireTo(server.url, { tls: {} });
  await assert.rejects(wire.get(get(server.url)), { code: 'FAILED_PRECONDITION' });
});

test('a reader who takes his time holds the sender back, and is not taken for a stall', async () => {
  let sent = 0;
  await using server = await serve((_, response) => {
    const chunk = Buffer.alloc(MIB);
    const more = (): void => {
      if (response.destroyed || sent >= 64 * MIB) return void response.end();
      sent += chunk.byteLength;
      response.write(chunk, more);
    };
    more();
  });
  using wire = wireTo(server.url, IMPATIENT);
  const response = await wire.get(get(server.url));
  await response.body.next();
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, 2500);
  await promise;
  assert.ok(sent < 32 * MIB, `${sent} bytes were taken in`);
  let length = 0;
  for await (const chunk of response.body) length += chunk.byteLength;
  assert.ok(length > 60 * MIB);
});

/**
 * Sends half of a body at once and the other half a moment later, whatever this thread does meanwhile;
 * then it sets what both share.
 */
const IN_HALVES = `
  const { parentPort, workerData } = require('node:worker_threads');
  const sent = () => {
    Atomics.store(workerData, 0, 1);
    Atomics.notify(workerData, 0);
  };
  const server = require('node:net').createServer((socket) => socket.once('data', () => {
    socket.write('HTTP/1.1 200 OK\\r\\ncontent-length: 8\\r\\n\\r\\nhalf');
    setTimeout(() => socket.write('done', sent), 50);
  }));
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`;

test('a process that had no turn for longer than the idle time reads what came meanwhile', async () => {
  const sent = new Int32Array(new SharedArrayBuffer(4));
  await using server = new Worker(IN_HALVES, { eval: true, workerData: sent });
  const [port] = (await once(server, 'message')) as [number];
  const url = `http://127.0.0.1:${port}`;
  using wire = wireTo(url, { timeouts: { connect: 30_000, idle: 1000 } });
  const response = await wire.get(get(url));
  let text = '';
  for await (const chunk of response.body) {
    text += String(chunk);
    // As on a machine that does something else.
    Atomics.wait(sent, 0, 0);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
  }
  assert.equal(text, 'halfdone');
});

test('a kept connection that the server has closed meanwhile is replaced without an error', async () => {
  const sockets: Socket[] = [];
  await using server = await serve((request, response) => {
    sockets.push(request.socket);
    response.setHeader('content-length', 2);
    response.end('ok');
  });
  using wire = wireTo(server.url);
  assert.equal((await body(wire, get(server.url))).toString(), 'ok');
  sockets[0]!.destroy();
  assert.equal((await body(wire, get(server.url))).toString(), 'ok');
  assert.equal(sockets.length, 2);
});

test('informational answers come before the answer', async () => {
  const url = await raw((socket) => {
    socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n');
    setTimeout(() => socket.end('\r\nHTTP/1.1 200 OK\r\n\r\nbody'), 20);
  });
  using wire = wireTo(url);
  assert.equal((await body(wire, get(url))).toString(), 'body');
});

const HOSTILE: readonly (readonly [string, (socket: Socket) => void])[] = [
  ['says nothing', () => undefined],
  ['closes at once', (socket) => socket.destroy()],
  ['speaks another protocol', (socket) => socket.end('220 smtp.example ESMTP\r\n\r\n')],
  [
    'never ends its head',
    (socket) => socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`),
  ],
  [
    'sends informational answers without an end',
    (socket) =>
      socket.end(`${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(2000)}HTTP/1.1 200 OK\r\n\r\n`),
  ],
  ['stops within its head', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-')],
  [
    'stops within its body',
    (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'),
  ],
  [
    'stalls within its body',
    (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'),
  ],
];

for (const [what, answer] of HOSTILE)
  test(`a server that ${what} is UNAVAILABLE, in time`, async () => {
    const url = await raw(answer);
    using wire = wireTo(url, IMPATIENT);
    await assert.rejects(body(wire, get(url)), { code: 'UNAVAILABLE' });
  });

test('an abort ends a connect, a wait for the head and a wait for the body with its reason', async () => {
  const reason = new Error('enough');
  const url = await raw((socket) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'),
  );
  using wire = wireTo(url);
  const stop = new AbortController();
  const response = await wire.get(get(url, { signal: stop.signal }));
  await response.body.next();
  const next = response.body.next();
  stop.abort(reason);
  await assert.rejects(next, reason);
  const silent = await raw(() => undefined);
  using other = wireTo(silent);
  await assert.rejects(other.get(get(silent, { signal: AbortSignal.timeout(50) })), {
    name: 'TimeoutError',
  });
  using unroutable = wireTo('http://192.0.2.1:1');
  const far = get('http://192.0.2.1:1', { signal: AbortSignal.timeout(50) });
  await assert.rejects(
    unroutable.get(far),
    (error: Error & { readonly code?: unknown }) =>
      error.name === 'TimeoutError' || error.code === 'UNAVAILABLE',
  );
});

test('one more than the allowed connections waits until a body is read or given up', async () => {
  await using server = await serve((_, response) => void response.end(BIG));
  using wire = wireTo(server.url, { connections: 1 });
  const first = await wire.get(get(server.url));
  let second = false;
  const waiting = wire.get(get(server.url)).then(async (response) => {
    second = true;
    await response.body.discard();
  });
  await first.body.next();
  assert.equal(second, false);
  await first.body.return();
  await waiting;
});

test('what is not allowed in a header is not sent', async () => {
  await using server = await serve((_, response) => void response.end());
  using wire = wireTo(server.url);
  const request = get(server.url, { headers: { 'x-evil': 'a\r\nx-more: b' } });
  await assert.rejects(wire.get(request), { code: 'UNAVAILABLE' });
  assert.equal(server.requests.length, 0);
});
