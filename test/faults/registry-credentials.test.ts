/** Where credentials go when registries ask, expire, redirect and lie: to the registry's own origin and its realm. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { verified } from '../../src/content/verify.ts';
import { serveRegistry } from '../../src/distribution/server.ts';
import { openTemporaryRegistry } from '../../src/distribution/temporary.ts';
import { isCode } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { parseReference } from '../../src/oci/reference.ts';
import type { RegistryOptions } from '../../src/registry/options.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { type FaultProxy, type FaultRule, openFaultProxy } from '../../src/testing/fault-proxy.ts';
import { cut, type Fault, redirectTo, respond, unauthorized } from '../../src/testing/faults.ts';
import { Client } from '../../src/testing/repository/client.ts';

const SIZE = 400_000;
const BLOBS = /\/blobs\/sha256:/;
const retry = { attempts: 4, delay: 5, maxDelay: 500 };
const credentials = { get: async () => ({ username: 'me', secret: 'sesame' }) };
const basic = `Basic ${Buffer.from('me:sesame').toString('base64')}`;

interface Upstream extends AsyncDisposable {
  readonly url: string;
  readonly blob: Buffer;
  readonly target: Descriptor;
}

/** A registry with a blob that cares about no credentials: the rules before it do. */
async function openUpstream(): Promise<Upstream> {
  await using stack = new AsyncDisposableStack();
  const token = 'a-token-for-tests';
  const registry = stack.use(await openTemporaryRegistry({ writable: { token } }));
  const client = new Client({ url: registry.url, authorization: `Bearer ${token}` });
  const { bytes: blob, descriptor: target } = await client.pushBlob('a/b', randomBytes(SIZE));
  const { url } = stack.use(await serveRegistry({ backend: registry.backend }));
  const all = stack.move();
  return { url, blob, target, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function download(
  proxy: FaultProxy,
  target: Descriptor,
  options: RegistryOptions = {},
): Promise<Buffer> {
  await using registry = openRegistry({ retry, ...options });
  const repository = registry.repository(parseReference(`${proxy.host}/a/b`));
  return Buffer.concat(await Array.fromAsync(verified(repository.fetch(target), target)));
}

const authorizations = ({ requests }: FaultProxy, path: RegExp): (string | undefined)[] => [
  ...new Set(
    requests.filter(({ target }) => path.test(target)).map(({ headers }) => headers.authorization),
  ),
];

/** Asks for `wanted()` wherever the request has something else. */
const guard = (wanted: () => string, challenge: string): FaultRule => ({
  path: /^\/v2\//,
  when: ({ headers }) => headers.authorization !== wanted(),
  fault: unauthorized(challenge),
});

test('a token that expires in the middle of a blob is renewed, and no byte comes twice', async () => {
  await using upstream = await openUpstream();
  let issued = 0;
  const token: Fault = {
    name: 'token',
    answer: () => ({ status: 200, headers: {}, body: JSON.stringify({ token: `t${++issued}` }) }),
  };
  await using realm = await openFaultProxy({ rules: [{ fault: token }] });
  let valid = 't1';
  const expire: Fault = {
    name: 'expire',
    body(body, context) {
      valid = 't2';
      return cut(100_000).body!(body, context);
    },
  };
  const rules = [
    guard(() => `Bearer ${valid}`, `Bearer realm="${realm.url}/token",service="x"`),
    { path: BLOBS, when: sends('Bearer t1'), nth: 1, fault: expire },
  ];
  await using proxy = await openFaultProxy({ upstream: upstream.url, rules });
  assert.ok((await download(proxy, upstream.target)).equals(upstream.blob));
  assert.equal(issued, 2);
  assert.equal(proxy.sent(upstream.target.digest), SIZE);
  assert.deepEqual(authorizations(proxy, BLOBS), [undefined, 'Bearer t1', 'Bearer t2']);
});

test('a registry that refuses every token is UNAUTHENTICATED, soon', async () => {
  await using upstream = await openUpstream();
  const token = respond(200, {}, '{"token":"useless"}');
  await using realm = await openFaultProxy({ rules: [{ fault: token }] });
  const rules = [guard(() => 'nothing', `Bearer realm="${realm.url}/token"`)];
  await using proxy = await openFaultProxy({ upstream: upstream.url, rules });
  await assert.rejects(download(proxy, upstream.target), (error) =>
    isCode(error, 'UNAUTHENTICATED'),
  );
  assert.ok(realm.requests.length <= 3, `${realm.requests.length} tokens`);
});

test('a password goes where it was asked for, and not along a redirect', async () => {
  await using upstream = await openUpstream();
  await using elsewhere = await openFaultProxy({ upstream: upstream.url });
  const rules = [
    guard(() => basic, 'Basic realm="x"'),
    { path: BLOBS, when: sends(basic), fault: redirectTo(elsewhere.url) },
  ];
  await using proxy = await openFaultProxy({ upstream: upstream.url, rules });
  const bytes = await download(proxy, upstream.target, { credentials });
  assert.ok(bytes.equals(upstream.blob));
  assert.deepEqual(authorizations(proxy, BLOBS), [undefined, basic]);
  assert.deepEqual(authorizations(elsewhere, /./), [undefined]);
});

test('another origin that asks for a password after a redirect does not get it', async () => {
  await using upstream = await openUpstream();
  await using elsewhere = await openFaultProxy({
    upstream: upstream.url,
    rules: [{ fault: unauthorized('Basic realm="give it to me"') }],
  });
  const rules = [
    guard(() => basic, 'Basic realm="x"'),
    { path: BLOBS, when: sends(basic), fault: redirectTo(elsewhere.url) },
  ];
  await using proxy = await openFaultProxy({ upstream: upstream.url, rules });
  await assert.rejects(download(proxy, upstream.target, { credentials }), (error) =>
    isCode(error, 'UNAUTHENTICATED'),
  );
  assert.ok(elsewhere.requests.length > 0);
  assert.deepEqual(authorizations(elsewhere, /./), [undefined]);
});

test('a download that was redirected goes on from the registry after the connection drops', async () => {
  await using upstream = await openUpstream();
  await using elsewhere = await openFaultProxy({
    upstream: upstream.url,
    rules: [{ path: BLOBS, nth: 1, fault: cut(100_000) }],
  });
  const rules = [{ path: BLOBS, fault: redirectTo(elsewhere.url) }];
  await using proxy = await openFaultProxy({ upstream: upstream.url, rules });
  assert.ok((await download(proxy, upstream.target)).equals(upstream.blob));
  assert.equal(elsewhere.sent(upstream.target.digest), SIZE);
  const redirected = proxy.requests.filter(({ target }) => BLOBS.test(target));
  assert.equal(redirected.length, 2);
});

test('without credentials a registry that wants a password is UNAUTHENTICATED', async () => {
  await using upstream = await openUpstream();
  const rules = [guard(() => basic, 'Basic realm="x"')];
  await using proxy = await openFaultProxy({ upstream: upstream.url, rules });
  await assert.rejects(download(proxy, upstream.target), (error) =>
    isCode(error, 'UNAUTHENTICATED'),
  );
});

function sends(authorization: string): NonNullable<FaultRule['when']> {
  return ({ headers }) => headers.authorization === authorization;
}
