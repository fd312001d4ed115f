import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, sha256 } from '../oci/digest.ts';
import { OCI_INDEX, OCI_MANIFEST } from '../oci/media-type.ts';
import type { Database } from './database.ts';
import {
  deleteImage,
  dropSpareManifests,
  findImage,
  findImageIds,
  listImages,
  putImage,
} from './images.ts';
import { generation } from './meta.ts';
import { openDatabase } from './open.ts';
import {
  deleteReference,
  findReference,
  findRepoDigests,
  listReferences,
  putReference,
  putRepoDigest,
} from './references.ts';

function put(db: Database, config: string, document: string): { id: Digest; target: Descriptor } {
  const bytes = Buffer.from(document);
  const id = sha256(config);
  const target = { mediaType: OCI_MANIFEST, digest: sha256(bytes), size: bytes.length };
  db.transaction(() =>
    putImage(db, {
      id,
      config: Buffer.from(config),
      manifest: { descriptor: target, document: bytes },
    }),
  );
  return { id, target };
}

async function withDatabase(run: (db: Database) => void): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-images-'));
  using db = await openDatabase(dir.path);
  run(db);
}

test('an image is found by its id, a prefix of it, and its references', () =>
  withDatabase((db) => {
    const { id, target } = put(db, '{}', '{"a":1}');
    const to = { image: id, manifest: target.digest, target };
    db.transaction(() => {
      putReference(db, 'docker.io/library/a:1', to);
      putRepoDigest(db, 'docker.io/library/a', to);
    });
    const image = findImage(db, id)!;
    assert.equal(Buffer.from(image.config).toString(), '{}');
    assert.deepEqual(
      image.references.map(({ name }) => name),
      ['docker.io/library/a:1'],
    );
    assert.deepEqual(image.repoDigests[0]?.target, target);
    assert.deepEqual(image.manifests[0]?.descriptor, target);
    assert.deepEqual(findImageIds(db, id.slice(7, 15)), [id]);
    assert.deepEqual(findImageIds(db, id), [id]);
    assert.deepEqual(findImageIds(db, 'ffff'), []);
    assert.equal(findReference(db, 'docker.io/library/a:1')?.image, id);
    assert.equal(findReference(db, 'docker.io/library/a:2'), undefined);
    assert.equal(findRepoDigests(db, 'docker.io/library/a', target.digest)[0]?.image, id);
  }));

test('a reference moves to another image, and each change is a new generation', () =>
  withDatabase((db) => {
    const before = generation(db);
    const [a, b] = [put(db, '"a"', '{"a":1}'), put(db, '"b"', '{"b":1}')];
    for (const { id, target } of [a, b])
      db.transaction(() =>
        putReference(db, 'x:latest', { image: id, manifest: target.digest, target }),
      );
    assert.deepEqual(
      listReferences(db).map(({ image }) => image),
      [b.id],
    );
    assert.deepEqual(findImage(db, a.id)?.references, []);
    assert.equal(generation(db), before + 2);
    assert.throws(() =>
      putReference(db, 'y', { image: a.id, manifest: a.target.digest, target: a.target }),
    );
  }));

test('an image with a reference cannot be deleted; without, it goes with all that is about it', () =>
  withDatabase((db) => {
    const { id, target } = put(db, '{}', '{"a":1}');
    const to = { image: id, manifest: target.digest, target };
    db.transaction(() => {
      putReference(db, 'x:latest', to);
      putRepoDigest(db, 'x', to);
    });
    assert.throws(() => db.transaction(() => deleteImage(db, id)));
    db.transaction(() => {
      deleteReference(db, 'x:latest');
      deleteImage(db, id);
    });
    assert.deepEqual(listImages(db), []);
    assert.deepEqual(db.all('select * from manifest'), []);
    assert.deepEqual(db.all('select * from repo_digest'), []);
  }));

test('two manifests of one image stay as long as something names them', () =>
  withDatabase((db) => {
    const gzip = put(db, '{}', '{"gzip":1}');
    const zstd = put(db, '{}', '{"zstd":1}');
    assert.equal(gzip.id, zstd.id);
    const name = (tag: string, { id, target }: typeof gzip): void =>
      db.transaction(() => putReference(db, tag, { image: id, manifest: target.digest, target }));
    name('x:gzip', gzip);
    name('x:zstd', zstd);
    db.transaction(() => dropSpareManifests(db, gzip.id));
    assert.equal(findImage(db, gzip.id)?.manifests.length, 2);
    name('x:gzip', zstd);
    db.transaction(() => dropSpareManifests(db, gzip.id));
    assert.deepEqual(
      findImage(db, gzip.id)?.manifests.map(({ descriptor }) => descriptor.digest),
      [zstd.target.digest],
    );
  }));

test('one index gives several images the same repo digest, one per platform', () =>
  withDatabase((db) => {
    const target = { mediaType: OCI_INDEX, digest: sha256('index'), size: 5 };
    for (const platform of ['amd64', 'arm64']) {
      const { id, target: manifest } = put(db, `"${platform}"`, `{"${platform}":1}`);
      db.transaction(() =>
        putRepoDigest(db, 'x', { image: id, manifest: manifest.digest, target }),
      );
    }
    assert.equal(findRepoDigests(db, 'x', target.digest).length, 2);
    assert.ok(listImages(db).every(({ repoDigests }) => repoDigests.length === 1));
  }));
