import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { putImage } from '../db/images.ts';
import { openDatabase } from '../db/open.ts';
import { putReference } from '../db/references.ts';
import { isCode, MicaError } from '../errors.ts';
import { sha256 } from '../oci/digest.ts';
import { OCI_CONFIG, OCI_MANIFEST } from '../oci/media-type.ts';
import { read, reopenable } from '../testing/content.ts';
import {
  BLOB,
  DIFF_ID,
  type OpenedStore,
  storeLayerBlob,
  TAR,
  TARGET,
} from '../testing/layer-blob.ts';
import { needs } from '../testing/need.ts';
import { killAtEveryStep } from '../testing/crash.ts';
import { BlobFiles } from './blob-files.ts';
import { BlobRows } from './blob-rows.ts';
import type { Source } from './content.ts';
import { Dropping } from './dropping.ts';
import { openContentStore } from './file-store.ts';
import { RecipeRows } from './recipe/recipe-rows.ts';

const DROP = { digest: TARGET.digest, how: 'recreate', origins: [] } as const;

async function drop({ db, store }: OpenedStore): Promise<void> {
  db.transaction(() => store.drop([DROP]), { durable: true });
  await store.delete(TARGET.digest);
}

async function within(
  run: (opened: OpenedStore) => Promise<void>,
  options: { readonly origin?: Source; readonly recipe?: boolean } = {},
): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-drop-'));
  const root = join(dir.path, 'store');
  using db = await openDatabase(root);
  await using store = await openContentStore(db, options);
  const opened = { db, store, root };
  await storeLayerBlob(opened, options);
  await run(opened);
}

test('a dropped blob has no file, and is read as if it had one', () =>
  within(async (opened) => {
    const { store } = opened;
    await drop(opened);
    assert.equal(existsSync(store.path(TARGET.digest)), false);
    assert.equal(store.isDropped(TARGET.digest), true);
    assert.equal(await store.has(TARGET), true);
    assert.ok((await read(store.fetch(TARGET, { offset: 100 }))).equals(BLOB.subarray(100)));
    assert.equal(store.isDropped(TARGET.digest), false);
    assert.ok(readFileSync(store.path(TARGET.digest)).equals(BLOB));
  }));

test('one thread makes blobs one after the other, and ends with the store', async () => {
  const threads: Worker[] = [];
  const count = (thread: Worker): number => threads.push(thread);
  process.on('worker', count);
  try {
    await within(async (opened) => {
      threads.length = 0; // those that looked for the recipe
      for (let round = 0; round < 3; round += 1) {
        await drop(opened);
        await opened.store.restore(TARGET);
      }
      assert.equal(threads.length, 1);
    });
    assert.equal(threads[0]!.threadId, -1);
  } finally {
    process.off('worker', count);
  }
});

test('what came back can be dropped again, and is gone when the machine started anew', () =>
  within(async (opened) => {
    const { db, store } = opened;
    await drop(opened);
    await store.restore(TARGET);
    await drop(opened);
    assert.equal(existsSync(store.path(TARGET.digest)), false);
    await store.restore(TARGET);
    db.run(`update blob set boot = 'another'`);
    await using reopened = await openContentStore(db);
    assert.equal(reopened.isDropped(TARGET.digest), true);
    assert.equal(existsSync(store.path(TARGET.digest)), false);
    assert.deepEqual(await Array.fromAsync(reopened.orphans()), []);
  }));

test('a blob that is made durable again is not dropped any more', () =>
  within(async (opened) => {
    const { db, store } = opened;
    await drop(opened);
    await store.restore(TARGET);
    db.transaction(() => store.ready([TARGET.digest]));
    assert.deepEqual(store.dropped(), []);
  }));

test('without recipe or tar a dropped blob is fetched from its origin, or is not found', async () => {
  let asked = 0;
  const origin: Source = {
    async *fetch(_, { offset = 0 } = {}) {
      asked++;
      yield BLOB.subarray(offset);
    },
  };
  await within(
    async (opened) => {
      await drop(opened);
      assert.equal(await opened.store.has(TARGET), false);
      assert.ok((await read(opened.store.fetch(TARGET))).equals(BLOB));
      assert.equal(asked, 1);
    },
    { origin, recipe: false },
  );
  await within(
    async (opened) => {
      await drop(opened);
      await assert.rejects(read(opened.store.fetch(TARGET)), (error) => isCode(error, 'NOT_FOUND'));
    },
    { recipe: false },
  );
});

test('a changed tar gives no blob: it is fetched, or the loss is told', async () => {
  const change = ({ root }: OpenedStore): void =>
    writeFileSync(join(root, 'layers', '1', 'layer.tar'), Buffer.from(TAR).fill(1, 9000, 9900));
  await within(async (opened) => {
    await drop(opened);
    change(opened);
    await assert.rejects(read(opened.store.fetch(TARGET)), (error) => isCode(error, 'DATA_LOSS'));
    assert.equal(existsSync(opened.store.path(TARGET.digest)), false);
    assert.deepEqual(await Array.fromAsync(opened.store.partials()), []);
  });
  const origin: Source = {
    async *fetch(_, { offset = 0 } = {}) {
      yield BLOB.subarray(offset);
    },
  };
  await within(
    async (opened) => {
      await drop(opened);
      change(opened);
      assert.ok((await read(opened.store.fetch(TARGET))).equals(BLOB));
    },
    { origin },
  );
});

test('a damaged recipe is not followed', () =>
  within(async (opened) => {
    await drop(opened);
    opened.db.run(`update recipe set data = x'00'`);
    await assert.rejects(opened.store.restore(TARGET), (error) => isCode(error, 'DATA_LOSS'));
  }));

test('a blob that nobody dropped is not conjured up, even with a recipe', () =>
  within(async ({ db, store }) => {
    db.transaction(() => store.condemn([TARGET.digest]));
    await store.delete(TARGET.digest);
    assert.equal(await store.has(TARGET), false);
    await assert.rejects(store.restore(TARGET), (error) => isCode(error, 'NOT_FOUND'));
  }));

test('two who want a dropped blob make it once', () =>
  within(async (opened) => {
    await drop(opened);
    await using other = await openContentStore(opened.db);
    await Promise.all([opened.store.restore(TARGET), other.restore(TARGET)]);
    assert.ok(readFileSync(opened.store.path(TARGET.digest)).equals(BLOB));
    assert.deepEqual(await Array.fromAsync(other.partials()), []);
  }));

test('who comes when another has just made a dropped blob finds it there', () =>
  within(async (opened) => {
    const { db, store, root } = opened;
    await drop(opened);
    await store.restore(TARGET);
    const files = new BlobFiles(join(root, 'content'));
    await using dropping = new Dropping(db, files, new BlobRows(db));
    assert.equal(await dropping.make(TARGET, {}), undefined);
    // Unless its file was lost since.
    files.remove(TARGET.digest);
    await assert.rejects(dropping.make(TARGET, {}), (error) => isCode(error, 'NOT_FOUND'));
  }));

test('a store that is open for reading tells that the blob is there, and does not make it', () =>
  within(async (opened) => {
    await drop(opened);
    using db = await openDatabase(opened.root, { readonly: true });
    await using store = await openContentStore(db);
    assert.equal(await store.has(TARGET), true);
    await assert.rejects(
      read(store.fetch(TARGET)),
      (error) => error instanceof MicaError && error.code === 'FAILED_PRECONDITION',
    );
  }));

test('an image leaves the layout with the first of its blobs, and comes back with the last', () =>
  within(async (opened) => {
    const { db, store, root } = opened;
    const config = Buffer.from('{}');
    const [id] = [sha256(config)];
    const document = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: OCI_CONFIG, digest: id, size: config.length },
        layers: [TARGET],
      }),
    );
    const descriptor = { mediaType: OCI_MANIFEST, digest: sha256(document), size: document.length };
    await store.push(descriptor, reopenable(document));
    db.transaction(() => {
      store.ready([descriptor.digest]);
      putImage(db, { id, config, manifest: { descriptor, document } });
      putReference(db, 'a.io/b:1', { image: id, manifest: descriptor.digest, target: descriptor });
    });
    const listed = async (): Promise<number> => {
      await store.project();
      const index = JSON.parse(readFileSync(join(root, 'content', 'index.json'), 'utf8')) as {
        manifests: unknown[];
      };
      return index.manifests.length;
    };
    assert.equal(await listed(), 1);
    await drop(opened);
    assert.equal(await listed(), 0);
    await store.restore(TARGET);
    assert.equal(await listed(), 0);
    db.transaction(() => store.ready([TARGET.digest]));
    assert.equal(await listed(), 1);
  }));

test('the collector forgets recipes and drops of what nobody uses', () =>
  within(async (opened) => {
    const { db, store } = opened;
    await drop(opened);
    db.transaction(() => store.forget(new Set([TARGET.digest])));
    assert.deepEqual([...store.tarsOfDropped(new Set([TARGET.digest]))], [DIFF_ID]);
    assert.equal(await store.has(TARGET), true);
    db.transaction(() => store.forget(new Set()));
    assert.deepEqual(store.dropped(), []);
    assert.deepEqual(new RecipeRows(db).all(), []);
  }));

const open = `
  const url = (path) => new URL(path, ${JSON.stringify(import.meta.url)}).href;
  const { openDatabase } = await import(url('../db/open.ts'));
  const { openContentStore } = await import(url('./file-store.ts'));
`;

test(
  'a drop and a return may be killed at any step: the blob is there, or comes back',
  { skip: needs('linux') },
  async () => {
    const steps = await killAtEveryStep({
      program: (root) => `${open}
        const { storeLayerBlob, TARGET } = await import(url('../testing/layer-blob.ts'));
        const db = await openDatabase(${JSON.stringify(root)});
        const store = await openContentStore(db);
        await storeLayerBlob({ db, store, root: ${JSON.stringify(root)} });
        beginCounting();
        db.transaction(() => store.drop([{ digest: TARGET.digest, how: 'recreate', origins: [] }]), { durable: true });
        await store.delete(TARGET.digest);
        await store.restore(TARGET);
        process.exit();`,
      async check(root) {
        using db = await openDatabase(root);
        await using store = await openContentStore(db);
        assert.ok((await read(store.fetch(TARGET))).equals(BLOB));
        assert.deepEqual(await Array.fromAsync(store.orphans()), []);
        assert.deepEqual(await Array.fromAsync(store.partials()), []);
      },
    });
    assert.ok(steps > 6, `${steps} steps`);
  },
);
