import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { sha256 } from '../oci/digest.ts';
import { DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../oci/media-type.ts';
import { parseReference } from '../oci/reference.ts';
import { type Answer, type Served, serve } from '../testing/serve.ts';
import { RegistryError } from './error.ts';
import type { RegistryOptions } from './options.ts';
import { openRegistry } from './registry.ts';

const QUICK: RegistryOptions = { retry: { attempts: 3, delay: 5, maxDelay: 2000 } };
const MANIFEST = Buffer.from('{"schemaVersion":2,"config":{},"layers":[]}');
const DIGEST = sha256(MANIFEST);

async function resolved(
  server: Served,
  options: RegistryOptions = QUICK,
  reference = 'latest',
): Promise<{ mediaType: string; digest: string; size: number }> {
  await using registry = openRegistry(options);
  return await registry.repository(parseReference(`${server.host}/a/b`)).resolve(reference);
}

const methods = ({ requests }: Served): string[] =>
  requests.filter(({ target }) => target !== '/v2/').map(({ method }) => method);

type SyncAnswer = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves one manifest; HEAD without digest or refused makes GET necessary. */
const manifest =
  (headers: Record<string, string> = {}, head = true): SyncAnswer =>
  (request, response) => {
    if (request.method === 'HEAD' && !head) response.writeHead(405).end();
    else response.writeHead(200, { 'content-type': OCI_MANIFEST, ...headers }).end(MANIFEST);
  };

const TOLD = { 'docker-content-digest': DIGEST, 'content-length': String(MANIFEST.byteLength) };

test('a tag is resolved by one HEAD where the registry says everything', async () => {
  await using server = await serve(manifest(TOLD));
  const descriptor = await resolved(server);
  assert.deepEqual(descriptor, {
    mediaType: OCI_MANIFEST,
    digest: DIGEST,
    size: MANIFEST.byteLength,
  });
  assert.deepEqual(methods(server), ['HEAD']);
});

const GETS: readonly (readonly [string, SyncAnswer])[] = [
  ['does not answer HEAD', manifest(TOLD, false)],
  ['does not say the digest', manifest()],
  ['says a digest that is none', manifest({ ...TOLD, 'docker-content-digest': 'sha256:x' })],
];

for (const [what, answer] of GETS)
  test(`a registry that ${what} is asked with GET, and the digest is computed here`, async () => {
    await using server = await serve((request, response) => {
      if (request.method === 'GET') manifest()(request, response);
      else answer(request, response);
    });
    assert.equal((await resolved(server)).digest, DIGEST);
    assert.deepEqual(methods(server), ['HEAD', 'GET']);
  });

test('a manifest whose type the registry does not know is typed by its content', async () => {
  await using server = await serve(manifest({ 'content-type': 'text/plain; charset=utf-8' }));
  assert.equal((await resolved(server)).mediaType, OCI_MANIFEST);
});

test('a manifest that hashes to something else than was asked for or announced is DATA_LOSS', async () => {
  await using server = await serve((_, response) => {
    response.writeHead(200, { 'content-type': DOCKER_MANIFEST }).end('{}');
  });
  await assert.rejects(resolved(server, QUICK, DIGEST), { code: 'DATA_LOSS' });
  await using liar = await serve((request, response) => {
    if (request.method === 'HEAD') response.writeHead(404).end();
    else response.writeHead(200, { 'docker-content-digest': sha256('x') }).end(MANIFEST);
  });
  await assert.rejects(resolved(liar), { code: 'DATA_LOSS' });
});

const REFUSED: readonly (readonly [string, Answer, string])[] = [
  [
    'schema 1',
    (_, response) => {
      const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
      response.writeHead(200, { ...TOLD, 'content-type': type }).end();
    },
    'NOT_IMPLEMENTED',
  ],
  [
    'a web page',
    (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    'UNAVAILABLE',
  ],
  [
    'a manifest that is announced as larger than any',
    (_, response) => {
      const length = { 'content-length': '5000000' };
      response.writeHead(200, { 'content-type': OCI_INDEX, ...TOLD, ...length }).end();
    },
    'INVALID_ARGUMENT',
  ],
  [
    'a manifest without end',
    (request, response) => {
      if (request.method === 'HEAD') response.end();
      else {
        const chunk = Buffer.alloc(65_536, ' ');
        const more = (): void => void (response.destroyed || response.write(chunk, more));
        more();
      }
    },
    'DATA_LOSS',
  ],
  ['something that is not JSON', (_, response) => void response.end('hello'), 'INVALID_ARGUMENT'],
  ['no such image', (_, response) => void response.writeHead(404).end('{}'), 'NOT_FOUND'],
  ['a refusal', (_, response) => void response.writeHead(403).end(), 'PERMISSION_DENIED'],
  ['a teapot', (_, response) => void response.writeHead(418).end(), 'INVALID_ARGUMENT'],
  ['a failure', (_, response) => void response.writeHead(500).end(), 'UNAVAILABLE'],
  ['a dropped connection', (_, response) => void response.destroy(), 'UNAVAILABLE'],
  ['a redirect to nowhere', (_, response) => void response.writeHead(302).end(), 'UNAVAILABLE'],
  [
    'a redirect to a file',
    (_, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    'UNAVAILABLE',
  ],
  [
    'redirects in a circle',
    (request, response) => void response.writeHead(302, { location: request.url }).end(),
    'UNAVAILABLE',
  ],
];

for (const [what, answer, code] of REFUSED)
  test(`${what} in place of a manifest is ${code}`, async () => {
    await using server = await serve((request, response) =>
      request.url === '/v2/' ? void response.end() : answer(request, response),
    );
    await assert.rejects(resolved(server), { code });
    assert.ok(server.requests.length < 30);
  });

test('what the registry says about a refusal is in the error, harmless and without the query', async () => {
  await using server = await serve((request, response) => {
    if (request.method === 'HEAD') return void response.writeHead(404).end();
    const errors = [{ code: 'MANIFEST_UNKNOWN', message: 'gone\u001B[2J\u202E', detail: {} }, 'x'];
    return void response.writeHead(404).end(JSON.stringify({ errors }));
  });
  await assert.rejects(resolved(server), (error) => {
    assert.ok(error instanceof RegistryError);
    assert.deepEqual([error.status, error.url], [404, `${server.url}/v2/a/b/manifests/latest`]);
    assert.deepEqual(error.errors[0], { code: 'MANIFEST_UNKNOWN', message: 'gone [2J' });
    assert.match(error.message, /a\/b:latest: not found.*MANIFEST_UNKNOWN: gone \[2J/);
    return true;
  });
});

test('secrets of a signed address do not get into errors', async () => {
  await using storage = await serve((_, response) => void response.writeHead(403).end('<Error>'));
  await using server = await serve((_, response) => {
    response.writeHead(307, { location: `${storage.url}/x?signature=SECRET` }).end();
  });
  await assert.rejects(resolved(server), (error: Error) => !error.message.includes('SECRET'));
});

const failing = (times: number, answer: Answer): Answer => {
  let seen = 0;
  return (request, response) => {
    if (request.url === '/v2/') return void response.end();
    return seen++ < times ? answer(request, response) : manifest(TOLD)(request, response);
  };
};

for (const status of [408, 429, 500, 502, 503, 504])
  test(`a ${status} is tried again`, async () => {
    await using server = await serve(
      failing(2, (_, response) => void response.writeHead(status).end()),
    );
    assert.equal((await resolved(server)).digest, DIGEST);
    assert.equal(methods(server).length, 3);
  });

test('a dropped connection is tried again, and whoever watches is told', async () => {
  // The first one is on a connection that was kept, which may end at any time: nobody is told.
  await using server = await serve(failing(2, (_, response) => void response.destroy()));
  const seen: string[] = [];
  await resolved(server, { ...QUICK, onRetry: ({ reason }) => void seen.push(reason) });
  assert.match(seen.join(), /HEAD .*manifests\/latest/);
});

test('Retry-After is kept to, as seconds and as a date', async () => {
  const refuse = (value: string): Answer =>
    failing(1, (_, response) => void response.writeHead(429, { 'retry-after': value }).end());
  const delays: number[] = [];
  {
    await using server = await serve(refuse('1'));
    await resolved(server, { ...QUICK, onRetry: ({ delay }) => void delays.push(delay) });
  }
  assert.deepEqual(delays, [1000]);
  const hour = 3_600_000;
  await using server = await serve(refuse(new Date(Date.now() + hour).toUTCString()));
  const stop = new AbortController();
  const onRetry = ({ delay }: { readonly delay: number }): void => {
    delays.push(delay);
    stop.abort();
  };
  await using registry = openRegistry({ retry: { maxDelay: hour }, onRetry });
  const repository = registry.repository(parseReference(`${server.host}/a/b`));
  const { signal } = stop;
  await assert.rejects(repository.resolve('latest', { signal }), { name: 'AbortError' });
  assert.ok(delays[1]! > hour / 2 && delays[1]! <= hour, String(delays[1]));
});

test('a Retry-After longer than we are willing to wait fails at once and says so', async () => {
  await using server = await serve(
    failing(9, (_, response) => {
      const headers = { 'retry-after': '3600', 'ratelimit-limit': '100;w=21600' };
      response.writeHead(429, headers).end();
    }),
  );
  await assert.rejects(resolved(server), {
    code: 'UNAVAILABLE',
    message: /rate limit 100.*3600 s/,
  });
  assert.equal(methods(server).length, 1);
});

test('a host that refuses connections is UNAVAILABLE after a few attempts', async () => {
  const { host, ...closed } = await serve(() => undefined);
  await closed[Symbol.asyncDispose]();
  await using registry = openRegistry(QUICK);
  const work = registry.repository(parseReference(`${host}/x`)).resolve('y');
  await assert.rejects(work, {
    code: 'UNAVAILABLE',
    message: /ECONNREFUSED.*; nothing listens there: check that the server runs/,
  });
});

test('a host that accepts connections and says nothing is left in time', async () => {
  const sockets: { destroy(): void }[] = [];
  const server = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await using registry = openRegistry({
    retry: { attempts: 1 },
    timeouts: { idle: 200, connect: 200 },
  });
  const work = registry.repository(parseReference(`127.0.0.1:${port}/x`)).resolve('y');
  await assert.rejects(work, { code: 'UNAVAILABLE' });
  for (const socket of sockets) socket.destroy();
  server.close();
});

test('on loopback TLS is spoken where the server does, with any certificate', async () => {
  await using server = await serve(manifest(TOLD), { tls: true });
  assert.equal((await resolved(server)).digest, DIGEST);
  assert.ok(server.requests.length > 0);
});

test('on loopback a port that answers TLS and says 400 in plain text is one of TLS', async () => {
  await using secure = await serve(manifest(TOLD), { tls: true });
  const port = Number(secure.host.split(':')[1]);
  // As Go's servers do: a handshake begins with byte 22.
  const front = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (first) => {
      if (first[0] === 22) {
        const behind = connect(port, '127.0.0.1');
        behind.on('error', () => undefined).write(first);
        socket.pipe(behind).pipe(socket);
      } else socket.end('HTTP/1.0 400 Bad Request\r\n\r\nspeak TLS');
    });
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  try {
    const host = `127.0.0.1:${(front.address() as AddressInfo).port}`;
    assert.equal((await resolved({ ...secure, host })).digest, DIGEST);
  } finally {
    front.close();
  }
});

test('on loopback a registry that answers its root with 400 in plain HTTP is spoken with', async () => {
  const answer = manifest(TOLD);
  await using server = await serve((request, response) => {
    if (request.url === '/v2/') response.writeHead(400).end();
    else answer(request, response);
  });
  assert.equal((await resolved(server)).digest, DIGEST);
});

test('not on loopback an unknown certificate is refused, unless the host is declared insecure', async () => {
  await using server = await serve(manifest(TOLD), { tls: true });
  // Reaches this machine too, but is not the address of loopback.
  const host = server.host.replace('127.0.0.1', '0.0.0.0');
  const resolve = async (options: RegistryOptions): Promise<string> => {
    await using registry = openRegistry({ ...QUICK, ...options });
    const reference = { domain: host, path: 'a/b' };
    return (await registry.repository(reference).resolve('x')).digest;
  };
  await assert.rejects(resolve({}), { code: 'FAILED_PRECONDITION', message: /certificate/ });
  assert.equal(await resolve({ insecure: [host] }), DIGEST);
});

test('plain HTTP is not spoken with a host that is neither loopback nor declared insecure', async () => {
  await using server = await serve(manifest(TOLD));
  const port = server.host.split(':')[1];
  await using registry = openRegistry(QUICK);
  const work = registry.repository({ domain: `0.0.0.0:${port}`, path: 'a/b' }).resolve('x');
  await assert.rejects(work, { code: 'FAILED_PRECONDITION', message: /insecure/ });
  assert.equal(server.requests.length, 0);
});

test('https does not redirect to plain HTTP', async () => {
  await using plain = await serve(manifest(TOLD));
  await using server = await serve(
    (_, response) => void response.writeHead(307, { location: `${plain.url}/x` }).end(),
    { tls: true },
  );
  await assert.rejects(resolved(server), { code: 'PERMISSION_DENIED' });
  assert.equal(plain.requests.length, 0);
});

const pages =
  (...answers: readonly (readonly [tags: unknown, link?: string])[]): Answer =>
  (request, response) => {
    const page = Number(new URL(request.url!, 'http://x').searchParams.get('page') ?? 0);
    const [tags, link] = answers[page] ?? [[]];
    response.writeHead(200, link === undefined ? {} : { link });
    response.end(JSON.stringify({ name: 'a/b', tags }));
  };

const tagsOf = async (server: Served): Promise<string[]> => {
  await using registry = openRegistry(QUICK);
  return await Array.fromAsync(
    registry.repository(parseReference(`${server.host}/a/b`)).listTags(),
  );
};

test('tags are listed over all pages', async () => {
  await using server = await serve(
    pages(
      [['a', 'b'], '</v2/a/b/tags/list?page=1>; rel="next"'],
      [['c'], '<list?page=2>;rel=next, </x>; rel="prev"'],
      [null],
    ),
  );
  assert.deepEqual(await tagsOf(server), ['a', 'b', 'c']);
});

test('a list that links in circles or to another host ends with an error', async () => {
  await using circle = await serve(pages([['a'], '</v2/a/b/tags/list?page=0&n=1000>; rel="next"']));
  await assert.rejects(tagsOf(circle), { code: 'UNAVAILABLE' });
  await using away = await serve(pages([['a'], '<http://192.0.2.1/>; rel="next"']));
  await assert.rejects(tagsOf(away), { code: 'PERMISSION_DENIED' });
});

test('what is not a list of tags is refused', async () => {
  for (const tags of [{}, 'a', [1], ['a b'], ['../x'], ['']]) {
    await using server = await serve(pages([tags]));
    await assert.rejects(tagsOf(server), { code: 'UNAVAILABLE' });
  }
});

const subject = { mediaType: OCI_MANIFEST, digest: DIGEST, size: MANIFEST.byteLength };
const entry = (text: string, artifactType: string): object => ({
  mediaType: OCI_MANIFEST,
  digest: sha256(text),
  size: 1,
  artifactType,
});
const indexOf = (...manifests: readonly object[]): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });

async function referrers(answer: Answer): Promise<string[]> {
  await using server = await serve(answer);
  await using registry = openRegistry(QUICK);
  const repository = registry.repository(parseReference(`${server.host}/a/b`));
  const found = await Array.fromAsync(repository.listReferrers(subject, { artifactType: 'sbom' }));
  return found.map(({ digest }) => digest);
}

function listed(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': OCI_INDEX });
  response.end(indexOf(entry('a', 'sbom'), entry('b', 'signature')));
}

test('referrers are filtered here when the registry does not', async () => {
  assert.deepEqual(await referrers((_, response) => listed(response)), [sha256('a')]);
});

test('a registry without the referrers API is asked for the tag that lists them', async () => {
  const byTag = ({ url }: IncomingMessage): boolean =>
    url!.includes(`/manifests/${DIGEST.replace(':', '-')}`);
  const found = await referrers((request, response) =>
    byTag(request) ? listed(response) : void response.writeHead(404).end(),
  );
  assert.deepEqual(found, [sha256('a')]);
  assert.deepEqual(await referrers((_, response) => void response.writeHead(404).end()), []);
});

test('one host gets no more connections than allowed', async () => {
  let [open, most] = [0, 0];
  await using server = await serve((request, response) => {
    most = Math.max(most, ++open);
    setTimeout(() => {
      open--;
      manifest(TOLD)(request, response);
    }, 20);
  });
  await using registry = openRegistry({ ...QUICK, connections: 2 });
  const repository = registry.repository(parseReference(`${server.host}/a/b`));
  await Promise.all(Array.from({ length: 8 }, async () => repository.resolve('latest')));
  assert.equal(most, 2);
});

test('a closed client refuses work', async () => {
  await using server = await serve(() => undefined);
  const registry = openRegistry(QUICK);
  const work = registry.repository(parseReference(`${server.host}/a/b`)).resolve('latest');
  const outcome = assert.rejects(work);
  await registry[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await outcome;
});
