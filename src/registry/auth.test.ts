import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { parseReference } from '../oci/reference.ts';
import { type Served, serve } from '../testing/serve.ts';
import { sha256 } from '../oci/digest.ts';
import { OCI_LAYER, OCI_MANIFEST } from '../oci/media-type.ts';
import type { Credential, RegistryOptions } from './options.ts';
import { openRegistry, type Repository } from './registry.ts';

const QUICK: RegistryOptions = { retry: { attempts: 3, delay: 5 } };
const USER: Credential = { username: 'user', secret: 'pass:word' };
const BASIC = `Basic ${Buffer.from('user:pass:word').toString('base64')}`;
const BLOB = Buffer.alloc(200_000, 'b');
const blob = { mediaType: OCI_LAYER, digest: sha256(BLOB), size: BLOB.byteLength };

const asUser = (credential?: Credential): RegistryOptions => ({
  ...QUICK,
  credentials: { get: async () => credential },
});

function manifest(_: IncomingMessage, response: ServerResponse): void {
  const headers = {
    'content-type': OCI_MANIFEST,
    'content-length': 10,
    'docker-content-digest': sha256('manifest'),
  };
  response.writeHead(200, headers).end();
}

interface TokenServer extends AsyncDisposable {
  readonly server: Served;
  readonly tokens: readonly string[];
  /** Tokens given so far are worth nothing any more. */
  expire(): void;
}

interface TokenOptions {
  readonly expiresIn?: number;
  readonly accept?: (request: IncomingMessage, body: string) => boolean;
  readonly oauth?: boolean;
  /** Instead of the one that tells where the token is. */
  readonly challenge?: (realm: string) => string | string[];
}

/** A registry with its token service, on one port. */
async function tokenServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void = manifest,
  { expiresIn = 300, accept = () => true, oauth = true, challenge }: TokenOptions = {},
): Promise<TokenServer> {
  const tokens: string[] = [];
  let valid = new Set<string>();
  const server: Served = await serve(async (request, response) => {
    if (request.url!.startsWith('/token')) {
      let body = '';
      for await (const chunk of request) body += chunk;
      if (request.method === 'POST' && !oauth) return void response.writeHead(405).end();
      if (!accept(request, body)) return void response.writeHead(401).end('{"details":"wrong"}');
      const token = `token-${tokens.length}`;
      tokens.push(token);
      valid.add(token);
      return void response.end(JSON.stringify({ token, expires_in: expiresIn }));
    }
    if (valid.has(request.headers.authorization?.replace('Bearer ', '') ?? ''))
      return answer(request, response);
    const realm = `${server.url}/token`;
    const offer =
      challenge?.(realm) ?? `Bearer realm="${realm}",service="s",scope="repository:a/b:pull"`;
    response.writeHead(401, { 'www-authenticate': offer }).end('{"errors":[]}');
  });
  return {
    server,
    tokens,
    expire: () => void (valid = new Set()),
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  };
}

const withoutProbe = ({ requests }: Served): Served['requests'] =>
  requests.filter(({ target }) => target !== '/v2/');

async function resolved(server: Served, options: RegistryOptions): Promise<void> {
  await using registry = openRegistry(options);
  await registry.repository(parseReference(`${server.host}/a/b`)).resolve('latest');
}

test('an anonymous client gets a token for exactly what it wants', async () => {
  await using registry = await tokenServer();
  await resolved(registry.server, QUICK);
  const [first, token, second] = withoutProbe(registry.server);
  assert.equal(first!.headers.authorization, undefined);
  const query = new URL(token!.target, registry.server.url).searchParams;
  assert.deepEqual(query.getAll('scope'), ['repository:a/b:pull']);
  assert.equal(query.get('service'), 's');
  assert.equal(token!.headers.authorization, undefined);
  assert.equal(second!.headers.authorization, 'Bearer token-0');
});

test('a password goes to the token service, the token to the registry', async () => {
  await using registry = await tokenServer(manifest, {
    accept: ({ headers }) => headers.authorization === BASIC,
  });
  await resolved(registry.server, asUser(USER));
  const seen = registry.server.requests.map(({ headers }) => headers.authorization);
  assert.deepEqual(seen, [undefined, undefined, BASIC, 'Bearer token-0']);
});

test('a token serves many requests, also those made at once', async () => {
  await using registry = await tokenServer();
  await using client = openRegistry(QUICK);
  const repository = client.repository(parseReference(`${registry.server.host}/a/b`));
  await repository.resolve('latest');
  await Promise.all(['a', 'b', 'c'].map((tag) => repository.resolve(tag)));
  assert.equal(registry.tokens.length, 1);
});

test('requests that are refused at once share one new token', async () => {
  await using registry = await tokenServer();
  await using client = openRegistry(QUICK);
  const repository = client.repository(parseReference(`${registry.server.host}/a/b`));
  await Promise.all(['a', 'b', 'c', 'd'].map((tag) => repository.resolve(tag)));
  registry.expire();
  await Promise.all(['a', 'b', 'c', 'd'].map((tag) => repository.resolve(tag)));
  assert.equal(registry.tokens.length, 2);
});

test('a token is replaced before its time is over', async () => {
  await using registry = await tokenServer(manifest, { expiresIn: 1e-6 });
  await using client = openRegistry(QUICK);
  const repository = client.repository(parseReference(`${registry.server.host}/a/b`));
  await repository.resolve('a');
  await repository.resolve('b');
  assert.ok(registry.tokens.length >= 2);
});

test('a token that expires in the middle of a blob is replaced, and the blob resumed', async () => {
  await using registry = await tokenServer((request, response) => {
    const from = Number(/\d+/.exec(request.headers.range ?? '0')![0]);
    if (from > 0) {
      const range = `bytes ${from}-${BLOB.byteLength - 1}/${BLOB.byteLength}`;
      response.writeHead(206, { 'content-range': range }).end(BLOB.subarray(from));
      return;
    }
    response.writeHead(200, { 'content-length': BLOB.byteLength });
    response.write(BLOB.subarray(0, 100_000), () => {
      registry.expire();
      response.destroy();
    });
  });
  await using client = openRegistry(QUICK);
  const repository = client.repository(parseReference(`${registry.server.host}/a/b`));
  const bytes = Buffer.concat(await Array.fromAsync(repository.fetch(blob)));
  assert.ok(bytes.equals(BLOB));
  assert.equal(registry.tokens.length, 2);
});

test('of several challenges Bearer is taken, wherever it stands', async () => {
  for (const challenge of [
    (realm: string) => `Basic realm="x, y", Bearer realm="${realm}",service="s"`,
    (realm: string) => ['Negotiate', 'Basic realm=x', `bearer realm="${realm}"`],
  ]) {
    await using registry = await tokenServer(manifest, { challenge });
    await resolved(registry.server, asUser(USER));
    assert.equal(registry.server.requests.at(-1)!.headers.authorization, 'Bearer token-0');
  }
});

test('an identity token is exchanged by POST, never sent in a URL', async () => {
  await using registry = await tokenServer(manifest, {
    accept: ({ method }, body) =>
      method === 'POST' && new URLSearchParams(body).get('refresh_token') === 'identity',
  });
  await resolved(registry.server, asUser({ username: '', secret: 'identity', identity: true }));
  assert.equal(registry.server.requests.at(-1)!.headers.authorization, 'Bearer token-0');
  assert.ok(registry.server.requests.every(({ target }) => !target.includes('identity')));
});

test('a token service that has no POST gets the identity token in the old way', async () => {
  await using registry = await tokenServer(manifest, { oauth: false });
  await resolved(registry.server, asUser({ username: 'u', secret: 'identity', identity: true }));
  const asked = registry.server.requests.filter(({ target }) => target.startsWith('/token'));
  assert.deepEqual(
    asked.map(({ method }) => method),
    ['POST', 'GET'],
  );
});

test('a registry with basic authentication gets the password only after it asked', async () => {
  await using server = await serve((request, response) => {
    if (request.headers.authorization === BASIC) return manifest(request, response);
    response.writeHead(401, { 'www-authenticate': 'Basic realm="r", charset="UTF-8"' }).end();
  });
  await resolved(server, asUser(USER));
  const seen = withoutProbe(server).map(({ headers }) => headers.authorization);
  assert.deepEqual(seen, [undefined, BASIC]);
});

const REFUSALS: readonly (readonly [string, Credential | undefined, string | undefined, RegExp])[] =
  [
    ['asks for a password that there is not', undefined, 'Basic realm="r"', /mica login/],
    ['refuses the password', USER, 'Basic realm="r"', /needs a login/],
    ['knows only other ways', USER, 'Negotiate', /no way to log in/],
    ['says nothing about how', USER, undefined, /no way to log in/],
  ];

for (const [what, credential, challenge, message] of REFUSALS)
  test(`a registry that ${what} is UNAUTHENTICATED, at once and without the secret`, async () => {
    await using server = await serve((_, response) => {
      response.writeHead(401, challenge ? { 'www-authenticate': challenge } : {}).end();
    });
    await assert.rejects(resolved(server, asUser(credential)), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(!error.message.includes('pass:word'));
      return (error as Error & { readonly code?: string }).code === 'UNAUTHENTICATED';
    });
    assert.ok(withoutProbe(server).length <= 2);
  });

test('a token service that refuses the password is UNAUTHENTICATED, and says whose it was', async () => {
  await using registry = await tokenServer(manifest, { accept: () => false });
  await assert.rejects(resolved(registry.server, asUser(USER)), {
    code: 'UNAUTHENTICATED',
    message: /as user.*wrong/,
  });
});

for (const credential of [undefined, { username: '', secret: 'identity', identity: true }])
  test(`a token service that is out of order is asked once an attempt (${credential ? 'POST' : 'GET'})`, async () => {
    await using tokens = await serve((_, response) => void response.writeHead(503).end());
    const challenge = (): string => `Bearer realm="${tokens.url}/token",service="s"`;
    await using registry = await tokenServer(manifest, { challenge });
    await assert.rejects(resolved(registry.server, asUser(credential)), { code: 'UNAVAILABLE' });
    assert.equal(tokens.requests.length, QUICK.retry!.attempts);
  });

test('a token that the registry refuses as well does not start a circle', async () => {
  await using registry = await tokenServer();
  const { server } = registry;
  await using other = await serve((_, response) => {
    const offer = `Bearer realm="${server.url}/token",service="s"`;
    response.writeHead(401, { 'www-authenticate': offer }).end('{"errors":[{"code":"DENIED"}]}');
  });
  await assert.rejects(resolved(other, QUICK), { code: 'UNAUTHENTICATED' });
  assert.equal(registry.tokens.length, 1);
});

const STRANGE: readonly (readonly [string, string])[] = [
  ['HTML', '<html>'],
  ['nothing', ''],
  ['no token', '{"access":"x"}'],
  ['a token with a line break', '{"token":"a\\r\\nX-Evil: 1"}'],
  ['a number', '{"token":5}'],
];

for (const [what, body] of STRANGE)
  test(`a token service that answers with ${what} is UNAUTHENTICATED`, async () => {
    await using tokens = await serve((_, response) => void response.end(body));
    await using server = await serve((_, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${tokens.url}/t"` }).end();
    });
    await assert.rejects(resolved(server, QUICK), { code: 'UNAUTHENTICATED' });
  });

test('an https registry cannot send us for a token to plain HTTP', async () => {
  await using tokens = await serve((_, response) => void response.end('{"token":"t"}'));
  await using server = await serve(
    (_, response) => {
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${tokens.url}/t"` }).end();
    },
    { tls: true },
  );
  await assert.rejects(resolved(server, asUser(USER)), { code: 'PERMISSION_DENIED' });
  assert.equal(tokens.requests.length, 0);
});

test('the password does not leave for plain HTTP on a host that is not the registry', async () => {
  await using server = await serve((_, response) => {
    response.writeHead(401, { 'www-authenticate': 'Bearer realm="http://192.0.2.1/t"' }).end();
  });
  await assert.rejects(resolved(server, asUser(USER)), { code: 'PERMISSION_DENIED' });
});

test('a token service that redirects does not take the password along', async () => {
  await using thief = await serve((_, response) => void response.end('{"token":"t"}'));
  const to = { location: `${thief.url}/t` };
  await using tokens = await serve((_, response) => void response.writeHead(307, to).end());
  const challenge = { 'www-authenticate': `Bearer realm="${tokens.url}/t"` };
  await using server = await serve((_, response) => void response.writeHead(401, challenge).end());
  await assert.rejects(resolved(server, asUser(USER)), { code: 'UNAUTHENTICATED' });
  assert.equal(thief.requests[0]!.headers.authorization, undefined);
  const identity = { username: '', secret: 'i', identity: true };
  await assert.rejects(resolved(server, asUser(identity)));
  assert.equal(thief.requests.length, 1);
});

test('a redirect to another origin loses the token, one to the same origin keeps it', async () => {
  await using storage = await serve((_, response) => void response.end(BLOB));
  await using registry = await tokenServer((request, response) => {
    const { url } = request;
    if (url === '/here') response.writeHead(302, { location: `${storage.url}/x?sig=s` }).end();
    else response.writeHead(307, { location: '/here' }).end();
  });
  await using client = openRegistry(QUICK);
  const repository: Repository = client.repository(parseReference(`${registry.server.host}/a/b`));
  const bytes = Buffer.concat(await Array.fromAsync(repository.fetch(blob)));
  assert.ok(bytes.equals(BLOB));
  assert.equal(registry.server.requests.at(-1)!.headers.authorization, 'Bearer token-0');
  assert.equal(storage.requests[0]!.headers.authorization, undefined);
});

test('a wait for a token that others wait for too can be aborted', async () => {
  await using tokens = await serve(() => undefined);
  const challenge = { 'www-authenticate': `Bearer realm="${tokens.url}/t"` };
  await using server = await serve((_, response) => void response.writeHead(401, challenge).end());
  await using client = openRegistry(QUICK);
  const reason = new Error('enough');
  const signal = AbortSignal.timeout(100);
  const work = client.repository(parseReference(`${server.host}/a/b`)).resolve('x', { signal });
  await assert.rejects(work, (error) => error === signal.reason || error === reason);
});
