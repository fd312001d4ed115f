import assert from 'node:assert/strict';
import { mkdir, mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openEngine } from '../../engine/open.ts';
import type { Engine } from '../../engine/engine.ts';
import { isCode } from '../../errors.ts';
import { type Digest, sha256 } from '../../oci/digest.ts';
import { OCI_MANIFEST } from '../../oci/media-type.ts';
import { BlobFixture, type ImageFixture } from '../../testing/image-fixture.ts';
import { Client } from '../../testing/repository/client.ts';
import { pushFixture } from '../../testing/repository/push-fixture.ts';
import { file, tree } from '../../testing/tree.ts';
import { serveRegistry } from '../server.ts';
import { openTemporaryRegistry } from '../temporary.ts';
import type { PushedManifest, RegistryBackend } from './backend.ts';
import { storeBackend } from './store.ts';

const token = 'a-token-for-tests';
const temporary = async (): Promise<AsyncDisposable & { readonly root: string }> => {
  const directory = await mkdtempDisposable(join(tmpdir(), 'mica-backend-'));
  return Object.assign(directory, { root: join(directory.path, 'store') });
};

async function putBlob(
  backend: RegistryBackend,
  repository: string,
  text: string,
): Promise<Digest> {
  const path = join(backend.writer!.uploads, `blob-${text}`);
  await writeFile(path, text);
  const digest = sha256(text);
  await backend.writer!.putBlob(repository, { digest, size: text.length }, path);
  return digest;
}

function manifestOf(...references: Digest[]): PushedManifest {
  const bytes = Buffer.from(JSON.stringify(references));
  const [digest, size] = [sha256(bytes), bytes.byteLength];
  return { digest, size, mediaType: OCI_MANIFEST, bytes, references };
}

test('what was pushed is there when the store is opened again, and survives collections', async () => {
  await using store = await temporary();
  const manifest = await (async () => {
    await using backend = await storeBackend(store.root, { writable: true });
    const pushed = manifestOf(await putBlob(backend, 'a/b', 'blob'));
    await backend.writer.putManifest('a/b', pushed, 'v1');
    return pushed;
  })();
  {
    await using engine = await openEngine({ root: store.root, driver: 'tar' });
    assert.deepEqual((await engine.gc()).blobs, []);
    assert.deepEqual((await engine.prune({ all: true })).blobs, []);
    assert.equal((await engine.usage()).reclaimable, 0);
  }
  await using backend = await storeBackend(store.root);
  assert.deepEqual(await backend.repositories(), ['a/b']);
  assert.deepEqual(await backend.tags('a/b'), ['v1']);
  const found = await backend.manifest('a/b', 'v1');
  assert.equal(found?.digest, manifest.digest);
  assert.deepEqual(await readFile(found.path), manifest.bytes);
  assert.ok(await backend.blob('a/b', manifest.references[0]!));
});

test('what was deleted is given back by the next collection', async () => {
  await using store = await temporary();
  {
    await using backend = await storeBackend(store.root, { writable: true });
    const pushed = manifestOf(await putBlob(backend, 'a', 'blob'));
    await backend.writer.putManifest('a', pushed, 'v1');
    assert.ok(await backend.writer.deleteManifest('a', pushed.digest));
    assert.ok(await backend.writer.deleteBlob('a', pushed.references[0]!));
    assert.equal(await backend.tags('a'), undefined);
  }
  await using engine = await openEngine({ root: store.root, driver: 'tar' });
  assert.equal((await engine.gc()).blobs.length, 2);
});

test('a half-pushed image is safe from a collection while the server lives', async () => {
  await using store = await temporary();
  await using backend = await storeBackend(store.root, { writable: true });
  const first = manifestOf(await putBlob(backend, 'a', 'blob'));
  await backend.writer.putManifest('a', first, 'v1');
  const [digest] = first.references;
  // The blob is durable now, and nothing needs it but what is being pushed to b.
  assert.ok(await backend.writer.mountBlob('b', digest!, 'a'));
  await backend.writer.deleteManifest('a', first.digest);
  await using engine = await openEngine({ root: store.root, driver: 'tar' });
  assert.deepEqual((await engine.gc()).blobs, []);
  await backend.writer.putManifest('b', manifestOf(digest!), 'v1');
});

test('servers that share the store see each other’s pushes', async () => {
  await using store = await temporary();
  await using one = await storeBackend(store.root, { writable: true });
  await using two = await storeBackend(store.root, { writable: true });
  await using reader = await storeBackend(store.root);
  const digest = await putBlob(one, 'a', 'blob');
  for (const backend of [two, reader]) {
    const found = await backend.blob('a', digest);
    assert.equal(await readFile(found!.path, 'utf8'), 'blob');
  }
});

test('a registry that was opened before there was a store serves what comes later', async () => {
  await using store = await temporary();
  await using reader = await storeBackend(store.root);
  assert.deepEqual(await reader.repositories(), []);
  await using writer = await storeBackend(store.root, { writable: true });
  await putBlob(writer, 'a', 'blob');
  assert.deepEqual(await reader.repositories(), ['a']);
});

test('a manifest whose blob has gone is NOT_FOUND, and no tag points to it', async () => {
  await using store = await temporary();
  await using backend = await storeBackend(store.root, { writable: true });
  const pushed = manifestOf(sha256('gone'));
  await assert.rejects(backend.writer.putManifest('a', pushed, 'v1'), (error) =>
    isCode(error, 'NOT_FOUND'),
  );
  assert.equal(await backend.manifest('a', 'v1'), undefined);
});

test('the uploads of a server that was killed are gone with the next one', async () => {
  await using store = await temporary();
  const dead = join(store.root, 'uploads', '0123456789abcdef01234567');
  {
    await using _ = await storeBackend(store.root, { writable: true });
  }
  await mkdir(dead);
  await writeFile(join(dead, 'upload'), 'half');
  await using living = await storeBackend(store.root, { writable: true });
  await using _ = await storeBackend(store.root, { writable: true });
  assert.ok((await readdir(join(store.root, 'uploads'))).length === 2);
  assert.deepEqual(await readdir(living.writer.uploads), []);
});

interface Pulled extends AsyncDisposable {
  readonly root: string;
  readonly engine: Engine;
  readonly image: ImageFixture;
  /** Domain of the registry that the image came from. */
  readonly host: string;
}

/** A store that has pulled `team/app:1` from some registry. */
async function pulled(): Promise<Pulled> {
  await using stack = new AsyncDisposableStack();
  const origin = stack.use(await openTemporaryRegistry({ writable: { token } }));
  const client = new Client({ url: origin.url, authorization: `Bearer ${token}` });
  const fixture = new BlobFixture();
  const image = await fixture.image([tree({ 'etc/name': file('one') })]);
  await pushFixture(client, 'team/app', fixture, image, '1');
  const { root } = stack.use(await temporary());
  const engine = stack.use(await openEngine({ root, driver: 'tar' }));
  const host = `127.0.0.1:${origin.port}`;
  await engine.pull(`${host}/team/app:1`, { platform: { os: 'linux', architecture: 'amd64' } });
  const all = stack.move();
  return { root, engine, image, host, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

test('images are served under the names that people type', async () => {
  await using store = await pulled();
  const { engine, image, host } = store;
  const source = `${host}/team/app:1`;
  for (const name of ['redis:7', 'me/tool:2', 'ghcr.io/a/b:3', '[::1]:5000/six:6'])
    await engine.tag(source, name);
  await using backend = await storeBackend(store.root);
  const port = host.replace(':', '_');
  assert.deepEqual((await backend.repositories()).toSorted(), [
    `${port}/team/app`,
    'ghcr.io/a/b',
    'library/redis',
    'me/tool',
  ]);
  for (const [name, tag] of [
    ['library/redis', '7'],
    ['redis', '7'],
    ['docker.io/library/redis', '7'],
    ['me/tool', '2'],
    ['docker.io/me/tool', '2'],
    ['ghcr.io/a/b', '3'],
    ['a/b', '3'],
    [`${port}/team/app`, '1'],
    ['team/app', '1'],
    // No name of the specification has brackets: its path is all it can be asked for by.
    ['six', '6'],
  ] as const) {
    assert.equal((await backend.manifest(name, tag))?.digest, image.descriptor.digest, name);
    assert.deepEqual(await backend.tags(name), [tag]);
    assert.ok(await backend.blob(name, image.layers[0]!.digest));
  }
  assert.equal(await backend.manifest('redis', '1'), undefined);
  assert.equal(await backend.blob('nobody/nothing', image.layers[0]!.digest), undefined);

  // From now on two registries have an a/b: it would be a guess.
  await engine.tag(source, 'quay.io/a/b:4');
  assert.equal(await backend.tags('a/b'), undefined);
  assert.deepEqual(await backend.tags('quay.io/a/b'), ['4']);
});

test('a mirror serves the images of the registry that is named', async () => {
  await using store = await pulled();
  await store.engine.tag(`${store.host}/team/app:1`, 'ghcr.io/a/b:3');
  await using backend = await storeBackend(store.root);
  await using server = await serveRegistry({ backend });
  const client = new Client({ url: server.url });
  const status = async (namespace: string): Promise<number> =>
    (await client.send('GET', `/v2/a/b/manifests/3?ns=${namespace}`)).status;
  assert.equal(await status('ghcr.io'), 200);
  assert.equal(await status('docker.io'), 404);
});

test('an image is served until it is removed', async () => {
  await using store = await pulled();
  await using backend = await storeBackend(store.root);
  await using server = await serveRegistry({ backend });
  const client = new Client({ url: server.url });
  const path = '/v2/team/app/manifests/1';
  assert.equal((await client.send('GET', path)).status, 200);
  await store.engine.remove(`${store.host}/team/app:1`);
  assert.equal((await client.send('GET', path)).status, 404);
});

test('an image on top of one of the store is pushed without the layers below, which stay', async () => {
  await using store = await pulled();
  const { root, engine, image, host } = store;
  await using backend = await storeBackend(root, { writable: true });
  await using server = await serveRegistry({ backend, writable: { token } });
  const client = new Client({ url: server.url, authorization: `Bearer ${token}` });
  const layer = image.layers[0]!;
  assert.equal((await client.send('HEAD', `/v2/team/app/blobs/${layer.digest}`)).status, 200);
  const document = await client.image('team/app', { layers: [layer] });
  const { descriptor } = await client.pushManifest('team/app', document, '2');
  const query = new URLSearchParams({ mount: layer.digest, from: 'team/app' }).toString();
  const mounted = await client.send('POST', `/v2/other/blobs/uploads/?${query}`);
  assert.equal(mounted.status, 201);

  await engine.remove(`${host}/team/app:1`);
  await engine.gc();
  const reply = await client.send('GET', `/v2/team/app/blobs/${layer.digest}`);
  assert.equal(sha256(reply.bytes), layer.digest);
  assert.equal((await backend.manifest('team/app', '2'))?.digest, descriptor.digest);
});

test('images of the store are not deleted through the registry', async () => {
  await using store = await pulled();
  await using backend = await storeBackend(store.root, { writable: true });
  await using server = await serveRegistry({ backend, writable: { token } });
  const client = new Client({ url: server.url, authorization: `Bearer ${token}` });
  const { descriptor, layers } = store.image;
  for (const path of [
    'manifests/1',
    `manifests/${descriptor.digest}`,
    `blobs/${layers[0]!.digest}`,
  ]) {
    const reply = await client.send('DELETE', `/v2/team/app/${path}`);
    assert.equal(reply.status, 405, path);
    assert.match(reply.bytes.toString(), /mica rmi/);
  }
  assert.equal((await store.engine.images()).length, 1);
});

test('what was pushed hides an image of the same name until it is deleted', async () => {
  await using store = await pulled();
  await using backend = await storeBackend(store.root, { writable: true });
  await using server = await serveRegistry({ backend, writable: { token } });
  const client = new Client({ url: server.url, authorization: `Bearer ${token}` });
  const pushed = await client.pushManifest('team/app', await client.image('team/app'), '1');
  const digestOf = async (): Promise<unknown> =>
    (await client.send('HEAD', '/v2/team/app/manifests/1')).headers['docker-content-digest'];
  assert.equal(await digestOf(), pushed.descriptor.digest);
  await client.send('DELETE', '/v2/team/app/manifests/1');
  assert.equal(await digestOf(), store.image.descriptor.digest);
});
