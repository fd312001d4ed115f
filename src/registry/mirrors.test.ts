import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Descriptor } from '../oci/descriptor.ts';
import { sha256 } from '../oci/digest.ts';
import { OCI_LAYER, OCI_MANIFEST } from '../oci/media-type.ts';
import { parseReference } from '../oci/reference.ts';
import { type Answer, serve } from '../testing/serve.ts';
import type { RegistryOptions } from './options.ts';
import { openRegistry } from './registry.ts';

const BLOB = Buffer.alloc(300_000, 'm');
const target: Descriptor = { mediaType: OCI_LAYER, digest: sha256(BLOB), size: BLOB.byteLength };
const QUICK: RegistryOptions = { retry: { attempts: 2, delay: 5 } };

/** Has one tag and one blob. */
const registry: Answer = ({ url, headers }, response) => {
  if (url!.includes('/manifests/')) {
    const digest = { 'docker-content-digest': sha256('manifest'), 'content-length': 8 };
    response.writeHead(200, { 'content-type': OCI_MANIFEST, ...digest }).end();
    return;
  }
  const from = Number(/\d+/.exec(headers.range ?? '0')![0]);
  const range = `bytes ${from}-${BLOB.byteLength - 1}/${BLOB.byteLength}`;
  response
    .writeHead(from > 0 ? 206 : 200, from > 0 ? { 'content-range': range } : {})
    .end(BLOB.subarray(from));
};

const absent: Answer = (_, response) => void response.writeHead(404).end('{}');

async function through(
  mirror: Answer,
): Promise<{ readonly mirror: number; readonly upstream: number }> {
  await using near = await serve(mirror);
  await using far = await serve(registry);
  await using client = openRegistry({ ...QUICK, mirrors: { [far.host]: [near.url] } });
  const repository = client.repository(parseReference(`${far.host}/a/b`));
  assert.equal((await repository.resolve('latest')).digest, sha256('manifest'));
  const bytes = Buffer.concat(await Array.fromAsync(repository.fetch(target)));
  assert.ok(bytes.equals(BLOB));
  const asked = far.requests.filter((request) => request.target !== '/v2/');
  return { mirror: near.requests.length, upstream: asked.length };
}

test('a mirror that has everything spares the registry', async () => {
  assert.deepEqual(await through(registry), { mirror: 2, upstream: 0 });
});

test('what a mirror has not comes from the registry', async () => {
  assert.equal((await through(absent)).upstream, 2);
});

const BAD: readonly (readonly [string, Answer])[] = [
  ['fails', (_, response) => void response.writeHead(500).end()],
  ['wants a login', (_, response) => void response.writeHead(401).end()],
  ['drops connections', (_, response) => void response.destroy()],
  [
    'answers with web pages',
    (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
  ],
  ['lies about sizes', (_, response) => void response.end(Buffer.concat([BLOB, BLOB]))],
  [
    'redirects in circles',
    ({ url }, response) => void response.writeHead(302, { location: url }).end(),
  ],
];

for (const [what, answer] of BAD)
  test(`a mirror that ${what} does not stop a pull`, async () => {
    assert.equal((await through(answer)).upstream, 2);
  });

test('what a mirror began is finished by the registry, and no byte comes twice', async () => {
  const half: Answer = (request, response) => {
    if (request.url!.includes('/manifests/')) return registry(request, response);
    response.writeHead(200, { 'content-length': BLOB.byteLength });
    response.write(BLOB.subarray(0, 100_000), () => response.destroy());
    return undefined;
  };
  await using near = await serve(half);
  await using far = await serve(registry);
  await using client = openRegistry({
    ...QUICK,
    retry: { attempts: 1 },
    mirrors: { [far.host]: [near.url] },
  });
  const repository = client.repository(parseReference(`${far.host}/a/b`));
  const bytes = Buffer.concat(await Array.fromAsync(repository.fetch(target)));
  assert.ok(bytes.equals(BLOB));
  assert.match(far.requests.at(-1)!.headers.range!, /^bytes=[1-9]\d*-$/);
});

test('a mirror that cannot be reached is not asked again and again', async () => {
  const { url, ...closed } = await serve(registry);
  await closed[Symbol.asyncDispose]();
  await using far = await serve(registry);
  const retries: string[] = [];
  await using client = openRegistry({
    ...QUICK,
    mirrors: { [far.host]: [url] },
    onRetry: ({ reason }) => void retries.push(reason),
  });
  const repository = client.repository(parseReference(`${far.host}/a/b`));
  await repository.resolve('latest');
  await Array.fromAsync(repository.fetch(target));
  assert.deepEqual(retries, []);
});

test('a mirror is not sent what is meant for the registry: credentials go by host', async () => {
  const challenge: Answer = (request, response) => {
    if (request.headers.authorization !== undefined) return registry(request, response);
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    return undefined;
  };
  await using near = await serve(challenge);
  await using far = await serve(challenge);
  const asked: string[] = [];
  const get = async (host: string): Promise<{ username: string; secret: string } | undefined> => {
    asked.push(host);
    return host === far.host ? { username: 'u', secret: 'p' } : undefined;
  };
  await using client = openRegistry({
    ...QUICK,
    mirrors: { [far.host]: [near.url] },
    credentials: { get },
  });
  await client.repository(parseReference(`${far.host}/a/b`)).resolve('latest');
  assert.ok(asked.includes(near.host) && asked.includes(far.host));
  assert.ok(near.requests.every(({ headers }) => headers.authorization === undefined));
});
