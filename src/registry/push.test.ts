import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTemporaryRegistry } from '../distribution/temporary.ts';
import type { Bytes, Reopenable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { sha256 } from '../oci/digest.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../oci/media-type.ts';
import { parseReference } from '../oci/reference.ts';
import { needs } from '../testing/need.ts';
import { openDockerRegistry } from '../testing/repository/docker-registry.ts';
import { serve } from '../testing/serve.ts';
import type { RegistryOptions } from './options.ts';
import { openRegistry, type Repository } from './registry.ts';

const TOKEN = 'a-token-for-tests';
const OPTIONS: RegistryOptions = {
  retry: { attempts: 3, delay: 5 },
  credentials: { get: async () => ({ username: 'x', secret: TOKEN }) },
};

const content = (bytes: Uint8Array): Reopenable =>
  async function* part(offset): Bytes {
    for (let at = offset; at < bytes.byteLength; at += 100_000)
      yield bytes.subarray(at, at + 100_000);
  };

const described = (bytes: Uint8Array, mediaType = OCI_LAYER): Descriptor => ({
  mediaType,
  digest: sha256(bytes),
  size: bytes.byteLength,
});

const BLOB = Buffer.from(Uint8Array.from({ length: 350_000 }, (_, index) => index >> 3));
const blob = described(BLOB);

async function pushImage(repository: Repository, extra: object = {}): Promise<Descriptor> {
  const configBytes = Buffer.from('{}');
  const config = described(configBytes, OCI_CONFIG);
  await repository.push(config, content(configBytes));
  await repository.push(blob, content(BLOB));
  const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [blob], ...extra };
  const bytes = Buffer.from(JSON.stringify(document));
  const manifest = described(bytes, OCI_MANIFEST);
  await repository.push(manifest, content(bytes));
  return manifest;
}

const REGISTRIES = [
  {
    name: "Mica's registry",
    skip: false,
    open: () => openTemporaryRegistry({ writable: { token: TOKEN } }),
  },
  { name: "Docker's registry", skip: needs('docker-registry'), open: openDockerRegistry },
] as const;

for (const { name, skip, open } of REGISTRIES) {
  test(`what is pushed to ${name} is found, named and fetched`, { skip }, async () => {
    await using server = await open();
    await using registry = openRegistry(OPTIONS);
    const { host } = new URL(server.url);
    const repository = registry.repository(parseReference(`${host}/a/b`));
    assert.equal(await repository.has(blob), false);
    const manifest = await pushImage(repository);
    assert.equal(await repository.has(blob), true);
    assert.equal(await repository.has(manifest), true);
    await repository.tag('v1', manifest);
    await repository.tag('v2', manifest);
    assert.deepEqual(await repository.resolve('v1'), manifest);
    assert.deepEqual(await repository.resolve(manifest.digest), manifest);
    assert.deepEqual(await Array.fromAsync(repository.listTags()), ['v1', 'v2']);
    const bytes = Buffer.concat(await Array.fromAsync(repository.fetch(blob, { offset: 9 })));
    assert.ok(bytes.equals(BLOB.subarray(9)));
    await assert.rejects(repository.resolve('v3'), { code: 'NOT_FOUND' });
  });

  test(`${name} adopts a blob from a sibling repository, or declines`, { skip }, async () => {
    await using server = await open();
    await using registry = openRegistry(OPTIONS);
    const { host } = new URL(server.url);
    const from = registry.repository(parseReference(`${host}/from`));
    const to = registry.repository(parseReference(`${host}/to`));
    await from.push(blob, content(BLOB));
    assert.equal(await to.mount(blob, 'from'), true);
    assert.equal(await to.has(blob), true);
    assert.equal(await to.mount(described(Buffer.from('absent')), 'from'), false);
    await assert.rejects(to.mount(blob, '../x'), { code: 'INVALID_ARGUMENT' });
  });

  test(
    `what refers to an image is listed by ${name}, whether it knows of referrers or not`,
    { skip },
    async () => {
      await using server = await open();
      await using registry = openRegistry(OPTIONS);
      const { host } = new URL(server.url);
      const repository = registry.repository(parseReference(`${host}/a/b`));
      const subject = await pushImage(repository);
      const sbom = await pushImage(repository, { subject, artifactType: 'application/spdx' });
      const signature = await pushImage(repository, { subject, artifactType: 'application/sig' });
      await pushImage(repository, { subject, artifactType: 'application/sig' });
      const listed = async (artifactType?: string): Promise<string[]> => {
        const found = await Array.fromAsync(repository.listReferrers(subject, { artifactType }));
        return found.map(({ digest }) => digest).sort((a, b) => (a < b ? -1 : 1));
      };
      const both = [sbom.digest, signature.digest].sort((a, b) => (a < b ? -1 : 1));
      assert.deepEqual(await listed(), both);
      assert.deepEqual(await listed('application/spdx'), [sbom.digest]);
    },
  );

  test(`${name} does not get bytes that are not the blob's`, { skip }, async () => {
    await using server = await open();
    await using registry = openRegistry(OPTIONS);
    const repository = registry.repository(parseReference(`${new URL(server.url).host}/a/b`));
    const other = { ...described(Buffer.from('x')), size: BLOB.byteLength };
    await assert.rejects(repository.push(other, content(BLOB)), { code: 'INVALID_ARGUMENT' });
    assert.equal(await repository.has(other), false);
    const wrong = described(Buffer.from('y'), OCI_MANIFEST);
    await assert.rejects(repository.push(wrong, content(Buffer.from('z'))), { code: 'DATA_LOSS' });
  });
}

test('an upload that is cut off goes on where the registry says, in pieces', async () => {
  const seen: string[] = [];
  let arrived = 0;
  await using server = await serve(async (request, response) => {
    const { method, url, headers } = request;
    const length = headers['content-range'] ?? headers['content-length'] ?? '';
    if (url !== '/v2/' && method !== 'HEAD') seen.push(`${method} ${length}`);
    const location = '/v2/a/b/blobs/uploads/1?_state=a%2Bb';
    const answer = (status: number): void =>
      void response.writeHead(status, { location, range: `0-${arrived - 1}` }).end();
    if (method === 'HEAD') answer(404);
    else if (method === 'POST') answer(202);
    else if (method === 'GET') answer(url === '/v2/' ? 200 : 204);
    else if (method === 'PUT' && arrived === 0) {
      request.once('data', (chunk: Buffer) => {
        arrived += chunk.byteLength;
        request.socket.destroy();
      });
    } else {
      assert.match(url!, /_state=a%2Bb/);
      for await (const chunk of request) arrived += (chunk as Buffer).byteLength;
      answer(method === 'PATCH' ? 202 : 201);
    }
  });
  await using registry = openRegistry(OPTIONS);
  await registry.repository(parseReference(`${server.host}/a/b`)).push(blob, content(BLOB));
  assert.equal(arrived, blob.size);
  const steps = seen.map((step) => step.split(' ')[0]);
  assert.deepEqual(steps, ['POST', 'PUT', 'GET', 'PATCH', 'PUT']);
  assert.match(seen[3]!, new RegExp(`-${blob.size - 1}$`));
});

test('a registry that takes nothing of the pieces is not sent them for ever', async () => {
  let patches = 0;
  await using server = await serve(async (request, response) => {
    const { method, url } = request;
    const headers = { location: '/v2/a/b/blobs/uploads/1', range: '0-999' };
    if (method === 'HEAD') response.writeHead(404).end();
    else if (method === 'PUT') response.destroy();
    else if (method === 'PATCH' && ++patches > 50) response.writeHead(400).end();
    else {
      await request.toArray();
      response.writeHead(url === '/v2/' ? 200 : method === 'GET' ? 204 : 202, headers).end();
    }
  });
  await using registry = openRegistry(OPTIONS);
  const repository = registry.repository(parseReference(`${server.host}/a/b`));
  await assert.rejects(repository.push(blob, content(BLOB)), {
    code: 'UNAVAILABLE',
    message: /took nothing of what was sent/,
  });
  assert.ok(patches <= 3, `${patches} pieces`);
});

test('an upload that the registry has forgotten begins again', async () => {
  let puts = 0;
  await using server = await serve(async (request, response) => {
    const { method } = request;
    const location = `/v2/a/b/blobs/uploads/${puts}`;
    if (method === 'HEAD') response.writeHead(404).end();
    else if (method === 'POST') response.writeHead(202, { location }).end();
    else if (method === 'GET') response.writeHead(request.url === '/v2/' ? 200 : 404).end();
    else {
      await request.toArray();
      response.writeHead(puts++ === 0 ? 502 : 201).end();
    }
  });
  await using registry = openRegistry(OPTIONS);
  await registry.repository(parseReference(`${server.host}/a/b`)).push(blob, content(BLOB));
  assert.equal(puts, 2);
});

test('an upload to another host gets the bytes, but not the credentials', async () => {
  const authorization = `Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}`;
  await using storage = await serve(async (request, response) => {
    await request.toArray();
    response.writeHead(201).end();
  });
  await using server = await serve((request, response) => {
    if (request.headers.authorization !== authorization)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    else if (request.method === 'HEAD') response.writeHead(404).end();
    else response.writeHead(202, { location: `${storage.url}/upload` }).end();
  });
  await using registry = openRegistry(OPTIONS);
  await registry.repository(parseReference(`${server.host}/a/b`)).push(blob, content(BLOB));
  assert.deepEqual(
    [storage.requests[0]!.method, storage.requests[0]!.headers.authorization],
    ['PUT', undefined],
  );
});

test('an upload does not go on over plain HTTP when it began over TLS', async () => {
  await using storage = await serve((_, response) => void response.writeHead(201).end());
  await using server = await serve(
    (request, response) => {
      if (request.method === 'HEAD') response.writeHead(404).end();
      else response.writeHead(202, { location: `${storage.url}/upload` }).end();
    },
    { tls: true },
  );
  await using registry = openRegistry(OPTIONS);
  const repository = registry.repository(parseReference(`${server.host}/a/b`));
  await assert.rejects(repository.push(blob, content(BLOB)), { code: 'PERMISSION_DENIED' });
  assert.equal(storage.requests.length, 0);
});

test('a registry that stored something else is not believed', async () => {
  await using server = await serve(async (request, response) => {
    await request.toArray();
    const location = '/upload';
    if (request.method === 'HEAD') response.writeHead(404).end();
    else if (request.method === 'POST') response.writeHead(202, { location }).end();
    else response.writeHead(201, { 'docker-content-digest': sha256('other') }).end();
  });
  await using registry = openRegistry(OPTIONS);
  const repository = registry.repository(parseReference(`${server.host}/a/b`));
  await assert.rejects(repository.push(blob, content(BLOB)), { code: 'DATA_LOSS' });
});

test('a registry that does not answer HEAD is asked for the first byte', async () => {
  await using server = await serve((request, response) => {
    if (request.method === 'HEAD') response.writeHead(405).end();
    else if (request.url!.includes(blob.digest)) response.writeHead(206).end(BLOB.subarray(0, 1));
    else response.writeHead(request.url === '/v2/' ? 200 : 404).end();
  });
  await using registry = openRegistry(OPTIONS);
  const repository = registry.repository(parseReference(`${server.host}/a/b`));
  assert.equal(await repository.has(blob), true);
  assert.equal(await repository.has(described(Buffer.from('x'))), false);
});

test('a source that fails ends the push with its own error', async () => {
  await using server = await openTemporaryRegistry({ writable: { token: TOKEN } });
  await using registry = openRegistry(OPTIONS);
  const repository = registry.repository(parseReference(`${new URL(server.url).host}/a/b`));
  const reason = new Error('disk on fire');
  const broken: Reopenable = async function* () {
    yield BLOB.subarray(0, 10);
    throw reason;
  };
  await assert.rejects(repository.push(blob, broken), (error: Error) => error === reason);
});

test('a source that cannot be reached is not tried again by the upload', async () => {
  await using server = await openTemporaryRegistry({ writable: { token: TOKEN } });
  await using gone = await serve((_, response) => void response.destroy());
  const seen: string[] = [];
  const onRetry = ({ reason }: { readonly reason: string }): void => void seen.push(reason);
  await using registry = openRegistry({ ...OPTIONS, onRetry });
  const from = registry.repository(parseReference(`${gone.host}/a/b`));
  const to = registry.repository(parseReference(`${new URL(server.url).host}/a/b`));
  const pushed = to.push(blob, (offset) => from.fetch(blob, { offset }));
  await assert.rejects(pushed, {
    code: 'UNAVAILABLE',
    message: new RegExp(`^GET ${gone.url}/v2/`),
  });
  // The three attempts of the fetch.
  assert.equal(seen.length, 2);
});

test('a source that is lost in the middle is not tried again by the upload', async () => {
  await using server = await openTemporaryRegistry({ writable: { token: TOKEN } });
  await using half = await serve((request, response) => {
    if (request.url === '/v2/') response.end();
    else if (request.headers.range !== undefined) response.destroy();
    else {
      response.writeHead(200, { 'content-length': BLOB.byteLength });
      response.write(BLOB.subarray(0, 100_000), () => response.destroy());
    }
  });
  const seen: string[] = [];
  const onRetry = ({ reason }: { readonly reason: string }): void => void seen.push(reason);
  await using registry = openRegistry({ ...OPTIONS, onRetry });
  const from = registry.repository(parseReference(`${half.host}/a/b`));
  const to = registry.repository(parseReference(`${new URL(server.url).host}/a/b`));
  const pushed = to.push(blob, (offset) => from.fetch(blob, { offset }));
  await assert.rejects(pushed, {
    code: 'UNAVAILABLE',
    message: new RegExp(`^GET ${half.url}/v2/`),
  });
  assert.equal(half.requests.filter(({ target }) => target.endsWith(blob.digest)).length, 3);
  assert.equal(seen.length, 2);
});

test('the registry is asked to take a blob when its first bytes are there', async () => {
  const uploads: string[] = [];
  await using server = await serve(async (request, response) => {
    if (request.method === 'POST') uploads.push(request.url!);
    await request.toArray();
    const location = '/upload';
    if (request.method === 'HEAD') response.writeHead(404).end();
    else response.writeHead(request.method === 'POST' ? 202 : 201, { location }).end();
  });
  await using registry = openRegistry(OPTIONS);
  const repository = registry.repository(parseReference(`${server.host}/a/b`));
  let opened = 0;
  let closed = 0;
  const slow: Reopenable = async function* (offset) {
    opened++;
    try {
      assert.deepEqual(uploads, []);
      yield* content(BLOB)(offset);
    } finally {
      closed++;
    }
  };
  await repository.push(blob, slow);
  assert.deepEqual([uploads.length, opened, closed], [1, 1, 1]);
});
