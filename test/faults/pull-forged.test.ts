import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, describe, test } from 'node:test';
import { gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { openDatabase } from '../../src/db/open.ts';
import { isProven, recordProof } from '../../src/db/proven-layers.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { type ErrorCode, MicaError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { type DiffId, sha256 } from '../../src/oci/digest.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../../src/oci/media-type.ts';
import { hostPlatform } from '../../src/oci/platform.ts';
import { type FaultProxy, openFaultProxy } from '../../src/testing/fault-proxy.ts';
import { BlobFixture } from '../../src/testing/image-fixture.ts';
import { needs } from '../../src/testing/need.ts';
import { file, tarOf, tree } from '../../src/testing/tree.ts';
import { openTemporaryEngine } from '../support/store.ts';

/** Images whose documents lie: about each other, about layers, or about themselves. */
const engine = openTemporaryEngine({
  driver: 'tar',
  retry: { attempts: 2, delay: 5 },
});
after(async () => (await engine)[Symbol.asyncDispose]());

/** An image as its documents tell it, before they are written. */
interface Draft {
  readonly fixture: BlobFixture;
  diffIds: DiffId[];
  layers: Descriptor[];
  /** What the manifest says of its config. */
  config: (true_: Descriptor) => Descriptor;
  /** What is served as the manifest. */
  manifest: (true_: Uint8Array) => Uint8Array;
}

async function draft(): Promise<Draft> {
  const fixture = new BlobFixture();
  const layer = (): ReturnType<typeof tree> => tree({ 'etc/file': file(randomBytes(2000)) });
  const { layers, diffIds } = await fixture.image([layer(), layer()]);
  const same = <T>(value: T): T => value;
  return { fixture, diffIds: [...diffIds], layers: [...layers], config: same, manifest: same };
}

/** A registry that has this image only, and believes all of it. */
async function serve({ fixture, diffIds, layers, config, manifest }: Draft): Promise<FaultProxy> {
  const written = fixture.addJson(OCI_CONFIG, {
    ...hostPlatform(),
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: config(written), layers };
  const bytes = Buffer.from(JSON.stringify(document));
  const digest = sha256(bytes);
  return openFaultProxy({
    rules: [
      {
        fault: {
          name: 'forged',
          answer: ({ url = '' }) => {
            if (url.includes('/manifests/')) {
              const body = manifest(bytes);
              return {
                status: 200,
                headers: {
                  'content-type': OCI_MANIFEST,
                  'content-length': body.length,
                  'docker-content-digest': digest,
                },
                body,
              };
            }
            const [, wanted] = /\/blobs\/(sha256:\w+)/.exec(url) ?? [];
            const body = fixture.blobs.get(wanted as `sha256:${string}`);
            return body
              ? { status: 200, headers: { 'content-length': body.length }, body }
              : { status: 404, headers: { 'content-length': 0 } };
          },
        },
      },
    ],
  });
}

async function pull(one: Draft, into: Promise<Engine> = engine): Promise<void> {
  await using proxy = await serve(one);
  await (await into).pull(`${proxy.host}/forged`);
}

/** The second layer is this blob, and everybody agrees on that. */
function replaceLayer(
  { fixture, layers, diffIds }: Draft,
  stored: Uint8Array,
  tar?: Uint8Array,
): void {
  layers[1] = fixture.add(`${OCI_LAYER}+gzip`, stored);
  if (tar) diffIds[1] = sha256(tar) as DiffId;
}

const someTar = (): Buffer => tarOf(tree({ 'etc/other': file(randomBytes(5000)) }));

const FORGERIES: Readonly<Record<string, [ErrorCode, (draft: Draft) => void]>> = {
  'a layer whose blob is another one': [
    'DATA_LOSS',
    ({ fixture, layers }) => fixture.blobs.set(layers[1]!.digest, randomBytes(layers[1]!.size)),
  ],
  'a layer that is smaller than its descriptor says': [
    'UNAVAILABLE',
    ({ layers }) => (layers[1] = { ...layers[1]!, size: layers[1]!.size + 1 }),
  ],
  'a layer that is larger than its descriptor says': [
    'DATA_LOSS',
    ({ layers }) => (layers[1] = { ...layers[1]!, size: layers[1]!.size - 1 }),
  ],
  'a layer that is not there': [
    'NOT_FOUND',
    ({ fixture, layers }) => fixture.blobs.delete(layers[1]!.digest),
  ],
  'a diffID that is not the layer’s': [
    'DATA_LOSS',
    ({ diffIds }) => (diffIds[1] = sha256(randomBytes(8)) as DiffId),
  ],
  'diffIDs in the wrong order': ['DATA_LOSS', ({ diffIds }) => diffIds.reverse()],
  'a layer more than diffIDs': ['INVALID_ARGUMENT', ({ diffIds }) => diffIds.pop()],
  'a config of another digest': [
    'DATA_LOSS',
    (one) => {
      const digest = sha256(randomBytes(8));
      const { fixture } = one;
      one.config = (written) => {
        fixture.blobs.set(digest, fixture.blobs.get(written.digest)!);
        return { ...written, digest };
      };
    },
  ],
  'a config of another size': [
    'DATA_LOSS',
    (one) => (one.config = (written) => ({ ...written, size: written.size - 1 })),
  ],
  'a manifest of another digest': [
    'DATA_LOSS',
    (one) => (one.manifest = (bytes) => Buffer.concat([bytes, Buffer.from(' ')])),
  ],
  'a manifest that is not JSON': [
    'DATA_LOSS',
    (one) => (one.manifest = (bytes) => Buffer.alloc(bytes.length, '{')),
  ],
  'a layer that is no gzip stream': [
    'DATA_LOSS',
    (one) =>
      replaceLayer(one, Buffer.concat([gzipSync(someTar()).subarray(0, 10), randomBytes(4000)])),
  ],
  'a gzip stream that ends early': [
    'DATA_LOSS',
    (one) => {
      const tar = someTar();
      replaceLayer(one, gzipSync(tar).subarray(0, -100), tar);
    },
  ],
  'an archive that ends in the middle of a file': [
    'DATA_LOSS',
    (one) => {
      const tar = someTar().subarray(0, 2000);
      replaceLayer(one, gzipSync(tar), tar);
    },
  ],
  'an archive of noise': [
    'INVALID_ARGUMENT',
    (one) => {
      const tar = randomBytes(4096);
      replaceLayer(one, gzipSync(tar), tar);
    },
  ],
};

describe('a pull refuses', () => {
  for (const [name, [code, forge]] of Object.entries(FORGERIES))
    test(name, async () => {
      const one = await draft();
      forge(one);
      const here = await engine;
      const before = await here.images();
      await assert.rejects(pull(one), (error: unknown) => {
        assert.ok(error instanceof MicaError, String(error));
        assert.equal(error.code, code, error.message);
        return true;
      });
      assert.deepEqual(await here.images(), before);
      assert.deepEqual((await here.check()).problems, []);
    });
});

test('a pull takes a zstd layer that calls itself gzip', async () => {
  const one = await draft();
  const tar = someTar();
  replaceLayer(one, zstdCompressSync(tar), tar);
  await pull(one);
});

/** Layers kept by diffID, and by chainID. */
for (const [driver, skip] of [
  ['tar', false],
  ['vfs', needs('root')],
] as const)
  describe(`to a store with driver ${driver} that has the layer already,`, { skip }, () => {
    const LIE = /its tar hashes to .*, not to the diffID/;

    /** An image that is there, and one that claims to have its layers, but has other blobs. */
    async function lie(): Promise<{ readonly honest: Draft; readonly forged: Draft }> {
      const [honest, forged] = [await draft(), await draft()];
      forged.diffIds = honest.diffIds;
      forged.layers[0] = forged.fixture.add(
        honest.layers[0]!.mediaType,
        honest.fixture.blobs.get(honest.layers[0]!.digest)!,
      );
      return { honest, forged };
    }

    test('the blob of another one is refused', async () => {
      await using store = await openTemporaryEngine({ driver });
      const { honest, forged } = await lie();
      const into = Promise.resolve(store);
      await pull(honest, into);
      const before = await store.images();
      for (let n = 0; n < 2; n++)
        await assert.rejects(pull(forged, into), { code: 'DATA_LOSS', message: LIE });
      assert.deepEqual(await store.images(), before);
      assert.deepEqual((await store.check()).problems, []);
    });

    test('one that was compressed otherwise is taken, and inflated once', async () => {
      await using store = await openTemporaryEngine({ driver });
      const honest = await draft();
      const into = Promise.resolve(store);
      await pull(honest, into);
      const tars = honest.layers.map(({ digest }) => gunzipSync(honest.fixture.blobs.get(digest)!));
      honest.layers = tars.map((tar) =>
        honest.fixture.add(`${OCI_LAYER}+zstd`, zstdCompressSync(tar)),
      );
      await pull(honest, into);
      assert.equal((await store.images()).length, 1);
      using db = await openDatabase(store.root);
      for (const [at, { digest }] of honest.layers.entries())
        assert.ok(isProven(db, digest, honest.diffIds[at]!));
      assert.deepEqual((await store.check()).problems, []);
    });

    test('what an earlier version has believed is found by a check', async () => {
      await using store = await openTemporaryEngine({ driver });
      const { honest, forged } = await lie();
      const into = Promise.resolve(store);
      await pull(honest, into);
      {
        using db = await openDatabase(store.root);
        recordProof(db, forged.layers[1]!.digest, forged.diffIds[1]!);
        await pull(forged, into);
        db.run('delete from proven_layer');
      }
      const { problems } = await store.check();
      assert.equal(problems.length, 1);
      assert.match(problems[0]!.message, LIE);
    });
  });
