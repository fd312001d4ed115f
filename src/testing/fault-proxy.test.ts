import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { sha256 } from '../oci/digest.ts';
import { type FaultProxy, type FaultRule, openFaultProxy } from './fault-proxy.ts';
import * as faults from './faults.ts';
import { Client } from './repository/client.ts';
import { serve, type Served } from './serve.ts';

const BYTES = randomBytes(200_000);
const DIGEST = sha256(BYTES);
const PATH = `/v2/a/blobs/${DIGEST}`;

/** A server of one blob that knows ranges and answers what it was sent. */
async function open(
  ...rules: FaultRule[]
): Promise<{ client: Client; proxy: FaultProxy; upstream: Served } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const upstream = stack.use(
    await serve(async (request, response) => {
      if (request.method === 'PUT') {
        const body = Buffer.concat(await request.toArray());
        response.end(sha256(body));
        return;
      }
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const last = BYTES.byteLength - 1;
      const range = start > 0 && { 'content-range': `bytes ${start}-${last}/${BYTES.byteLength}` };
      const headers = { 'content-length': BYTES.byteLength - start, ...range };
      response.writeHead(range ? 206 : 200, headers);
      response.end(request.method === 'HEAD' ? undefined : BYTES.subarray(start));
    }),
  );
  const proxy = stack.use(await openFaultProxy({ upstream: upstream.url, rules }));
  const client = new Client({ url: proxy.url });
  const all = stack.move();
  return { client, proxy, upstream, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const range = { range: 'bytes=100000-' };

test('without rules nothing changes, and everything is recorded', async () => {
  await using bench = await open();
  const { client, proxy } = bench;
  assert.ok((await client.send('GET', PATH)).bytes.equals(BYTES));
  const part = await client.send('GET', PATH, { headers: range });
  assert.equal(part.status, 206);
  assert.ok(part.bytes.equals(BYTES.subarray(100_000)));
  const head = await client.send('HEAD', PATH);
  assert.equal(head.headers['content-length'], '200000');
  const put = await client.send('PUT', '/x', { body: BYTES });
  assert.equal(put.bytes.toString(), DIGEST);
  assert.deepEqual(
    proxy.requests.map(({ method, status, sent }) => [method, status, sent]),
    [
      ['GET', 200, 200_000],
      ['GET', 206, 100_000],
      ['HEAD', 200, 0],
      ['PUT', 200, DIGEST.length],
    ],
  );
  assert.equal(proxy.sent(DIGEST), 300_000);
});

test('a cut delivers exactly the bytes before it', async () => {
  await using bench = await open({ fault: faults.cut(70_001) });
  await assert.rejects(bench.client.send('GET', PATH), { code: 'ECONNRESET' });
  assert.equal(bench.proxy.sent(DIGEST), 70_001);
});

test('a corrupted byte is one byte, wherever the answer begins', async () => {
  await using bench = await open({ fault: faults.corrupt(150_000) });
  for (const [headers, start] of [
    [{}, 0],
    [range, 100_000],
  ] as const) {
    const { bytes } = await bench.client.send('GET', PATH, { headers });
    const wrong = [...bytes.keys()].filter((at) => bytes[at] !== BYTES[start + at]);
    assert.deepEqual(wrong, [150_000 - start]);
  }
});

test('truncated and extended answers are well-formed', async () => {
  await using bench = await open(
    { nth: 1, fault: faults.truncate(1000) },
    { nth: 2, fault: faults.extend(10) },
  );
  assert.equal((await bench.client.send('GET', PATH)).bytes.byteLength, 1000);
  assert.equal((await bench.client.send('GET', PATH)).bytes.byteLength, 200_010);
});

test('a length that is stated too long ends in a broken connection', async () => {
  await using bench = await open({ fault: faults.misstateLength(5) });
  await assert.rejects(bench.client.send('GET', PATH), { code: 'ECONNRESET' });
});

test('ranges are ignored, and shifted', async () => {
  await using bench = await open(
    { nth: 1, fault: faults.ignoreRange() },
    { nth: 2, fault: faults.shiftContentRange(-3) },
  );
  const whole = await bench.client.send('GET', PATH, { headers: range });
  assert.deepEqual([whole.status, whole.bytes.byteLength], [200, 200_000]);
  const shifted = await bench.client.send('GET', PATH, { headers: range });
  assert.equal(shifted.headers['content-range'], 'bytes 99997-199996/200000');
});

test('an upload that is cut off reaches the upstream in part at most', async () => {
  await using bench = await open({ method: 'PUT', fault: faults.cutUpload(1000) });
  await assert.rejects(bench.client.send('PUT', '/x', { body: BYTES }), /ECONNRESET|EPIPE|hang up/);
});

test('a rule befalls the requests that it is meant for', async () => {
  await using bench = await open({
    method: 'GET',
    path: /\/blobs\//,
    when: ({ headers }) => headers.range === undefined,
    nth: [2, 3],
    fault: faults.respond(503),
  });
  const statuses = [];
  for (const [method, path, headers] of [
    ['GET', PATH, {}],
    ['HEAD', PATH, {}],
    ['GET', PATH, range],
    ['GET', '/other', {}],
    ['GET', PATH, {}],
    ['GET', PATH, {}],
    ['GET', PATH, {}],
  ] as const)
    statuses.push((await bench.client.send(method, path, { headers })).status);
  assert.deepEqual(statuses, [200, 200, 206, 200, 503, 503, 200]);
  assert.equal(bench.upstream.requests.length, 5);
});

test('closing the proxy ends what stalls', async () => {
  const bench = await open({ fault: faults.stall(10) });
  const stalled = assert.rejects(bench.client.send('GET', PATH), { code: 'ECONNRESET' });
  while (bench.proxy.sent(DIGEST) < 10) await new Promise(setImmediate);
  await bench[Symbol.asyncDispose]();
  await stalled;
});
