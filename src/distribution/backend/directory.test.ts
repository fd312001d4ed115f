import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { isCode } from '../../errors.ts';
import { type Digest, hexOf, sha256 } from '../../oci/digest.ts';
import { OCI_MANIFEST } from '../../oci/media-type.ts';
import type { PushedManifest, RegistryBackend } from './backend.ts';
import { directoryBackend } from './directory.ts';

const temporary = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-backend-'));

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
  return {
    digest: sha256(bytes),
    size: bytes.byteLength,
    mediaType: OCI_MANIFEST,
    bytes,
    references,
  };
}

const blobs = (directory: string): Promise<string[]> => readdir(join(directory, 'blobs', 'sha256'));

test('what was pushed is there when the directory is opened again', async () => {
  await using directory = await temporary();
  const manifest = await (async () => {
    await using backend = await directoryBackend(directory.path);
    const pushed = manifestOf(await putBlob(backend, 'a/b', 'blob'));
    await backend.writer.putManifest('a/b', pushed, 'v1');
    return pushed;
  })();
  await using backend = await directoryBackend(directory.path);
  assert.deepEqual(await backend.repositories(), ['a/b']);
  assert.deepEqual(await backend.tags('a/b'), ['v1']);
  const found = await backend.manifest('a/b', 'v1');
  assert.equal(found?.digest, manifest.digest);
  assert.deepEqual(await readFile(found.path), manifest.bytes);
});

test('content is stored once, and removed with its last repository', async () => {
  await using directory = await temporary();
  await using backend = await directoryBackend(directory.path);
  const digest = await putBlob(backend, 'a', 'blob');
  await putBlob(backend, 'b', 'blob');
  assert.ok(await backend.writer.mountBlob('c', digest, 'a'));
  assert.deepEqual(await blobs(directory.path), [hexOf(digest)]);
  assert.ok(await backend.writer.deleteBlob('a', digest));
  assert.ok(await backend.writer.deleteBlob('b', digest));
  assert.deepEqual(await blobs(directory.path), [hexOf(digest)]);
  assert.ok(await backend.writer.deleteBlob('c', digest));
  assert.deepEqual(await blobs(directory.path), []);
  assert.equal(await backend.tags('a'), undefined);
});

test('servers that share the directory see each other’s pushes', async () => {
  await using directory = await temporary();
  await using one = await directoryBackend(directory.path);
  await using two = await directoryBackend(directory.path);
  const digest = await putBlob(one, 'a', 'blob');
  const found = await two.blob('a', digest);
  assert.equal(await readFile(found!.path, 'utf8'), 'blob');
});

test('a manifest whose blob has just been deleted is NOT_FOUND and leaves nothing', async () => {
  await using directory = await temporary();
  await using backend = await directoryBackend(directory.path);
  const pushed = manifestOf(await putBlob(backend, 'a', 'blob'));
  await backend.writer.deleteBlob('a', pushed.references[0]!);
  await assert.rejects(backend.writer.putManifest('a', pushed, 'v1'), (error) =>
    isCode(error, 'NOT_FOUND'),
  );
  assert.deepEqual(await blobs(directory.path), []);
  assert.deepEqual(await readdir(backend.writer.uploads), []);
});

test('blobs that no manifest came for, and uploads left behind, go after a day', async () => {
  await using directory = await temporary();
  const kept = await (async () => {
    await using backend = await directoryBackend(directory.path);
    const used = manifestOf(await putBlob(backend, 'a', 'used'));
    await backend.writer.putManifest('a', used, 'v1');
    await putBlob(backend, 'a', 'unused');
    for (const name of ['old', 'new']) await writeFile(join(backend.writer.uploads, name), name);
    const yesterday = new Date(Date.now() - 25 * 3_600_000);
    await utimes(join(backend.writer.uploads, 'old'), yesterday, yesterday);
    using db = new DatabaseSync(join(directory.path, 'registry.db'));
    db.prepare('update link set since = ?').run(yesterday.getTime());
    const recent = await putBlob(backend, 'a', 'recent');
    return [used.digest, used.references[0]!, recent].map(hexOf).sort();
  })();
  await using backend = await directoryBackend(directory.path);
  assert.deepEqual((await blobs(directory.path)).sort(), kept);
  assert.deepEqual(await readdir(backend.writer.uploads), ['new']);
});
