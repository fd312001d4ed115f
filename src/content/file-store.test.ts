import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { Database } from '../db/database.ts';
import { putImage } from '../db/images.ts';
import { openDatabase } from '../db/open.ts';
import { deleteReference, putReference } from '../db/references.ts';
import { isCode } from '../errors.ts';
import type { Reopenable } from '../io/bytes.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../oci/media-type.ts';
import { testContentStore } from '../testing/content-store.ts';
import { blob, read, reopenable, testSink } from '../testing/content.ts';
import { needs } from '../testing/need.ts';
import type { ContentStore } from './content.ts';
import { openContentStore } from './file-store.ts';

interface Context {
  readonly db: Database;
  readonly store: ContentStore;
  readonly root: string;
}

async function opened(
  root: string,
): Promise<Context & AsyncDisposable & { readonly transaction: <T>(body: () => T) => T }> {
  const db = await openDatabase(root);
  const store = await openContentStore(db);
  return {
    db,
    store,
    root,
    transaction: (body) => db.transaction(body, { durable: true }),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      db[Symbol.dispose]();
    },
  };
}

async function within(run: (context: Context) => Promise<void>): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-content-'));
  await using context = await opened(join(dir.path, 'store'));
  await run(context);
}

testSink({
  name: 'file store',
  async open() {
    const dir = await mkdtempDisposable(join(tmpdir(), 'mica-content-'));
    const context = await opened(join(dir.path, 'store'));
    return {
      store: context.store,
      async [Symbol.asyncDispose]() {
        await context[Symbol.asyncDispose]();
        await dir.remove();
      },
    };
  },
});
testContentStore({ name: 'file store', open: opened });

test('a blob whose file was cut or removed counts as absent, and heals by being pushed', () =>
  within(async ({ store }) => {
    const [target, bytes] = blob('h'.repeat(1000));
    await store.push(target, reopenable(bytes));
    truncateSync(store.path(target.digest), 500);
    assert.equal(await store.has(target), false);
    const asked: number[] = [];
    await store.push(target, (offset) => (asked.push(offset), reopenable(bytes)(offset)));
    assert.deepEqual(asked, [500]);
    rmSync(store.path(target.digest));
    assert.equal(await store.has(target), false);
    await store.push(target, reopenable(bytes));
    assert.deepEqual(await read(store.fetch(target)), bytes);
  }));

test('a file that no row vouches for is an orphan, and is verified before it is used', () =>
  within(async ({ db, store }) => {
    const [good, bytes] = blob('good orphan');
    const [bad, right] = blob('bad orphan');
    for (const target of [good, bad])
      await store.push(target, reopenable(target === good ? bytes : right));
    db.run('delete from blob');
    writeFileSync(store.path(bad.digest), 'BAD orphan');
    assert.equal(await store.has(good), false);
    assert.equal((await Array.fromAsync(store.orphans())).length, 2);
    const fetched: string[] = [];
    await store.push(good, (offset) => (fetched.push('good'), reopenable(bytes)(offset)));
    await store.push(bad, (offset) => (fetched.push('bad'), reopenable(right)(offset)));
    assert.deepEqual(fetched, ['bad']);
    assert.deepEqual(await read(store.fetch(bad)), right);
    assert.deepEqual(await Array.fromAsync(store.orphans()), []);
  }));

test('what arrived before the machine stopped is doubted, what was ready is not', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-content-'));
  const root = join(dir.path, 'store');
  const [arrived, a] = blob('arrived');
  const [ready, b] = blob('ready');
  {
    await using first = await opened(root);
    await first.store.push(arrived, reopenable(a));
    await first.store.push(ready, reopenable(b));
    first.transaction(() => first.store.ready([ready.digest]));
    first.db.run(`update blob set boot = 'another' where state = 'arrived'`);
    assert.equal(await first.store.has(arrived), false);
  }
  await using second = await opened(root);
  assert.equal(await second.store.has(arrived), false);
  assert.equal(await second.store.has(ready), true);
  await second.store.push(arrived, () => assert.fail('the file is still good'));
  assert.equal(await second.store.has(arrived), true);
});

test('one digest with two sizes is a lie, and told', () =>
  within(async ({ store }) => {
    const [target, bytes] = blob('honest');
    await store.push(target, reopenable(bytes));
    const lie = { ...target, size: target.size + 1 };
    await assert.rejects(store.has(lie), (error) => isCode(error, 'DATA_LOSS'));
    await assert.rejects(store.openIngest(lie), (error) => isCode(error, 'DATA_LOSS'));
  }));

/** An image of one layer, named `name`. */
async function addImage({ db, store }: Context, name: string): Promise<void> {
  const put = (text: string, mediaType: string) =>
    store.ingest(reopenable(Buffer.from(text))(0), mediaType);
  const layer = await put('not a tar', OCI_LAYER);
  const configText =
    '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}';
  const config = await put(configText, OCI_CONFIG);
  const document = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config,
    layers: [layer],
  });
  const manifest = await put(document, OCI_MANIFEST);
  db.transaction(() => {
    store.ready([layer.digest, config.digest, manifest.digest]);
    putImage(db, {
      id: config.digest,
      config: Buffer.from(configText),
      manifest: { descriptor: manifest, document: Buffer.from(document) },
    });
    putReference(db, name, { image: config.digest, manifest: manifest.digest, target: manifest });
  });
}

const shownNames = (root: string): (string | undefined)[] => {
  const text = readFileSync(join(root, 'content', 'index.json'), 'utf8');
  const { manifests } = JSON.parse(text) as {
    manifests: { annotations: Record<string, string> }[];
  };
  return manifests.map(({ annotations }) => annotations['org.opencontainers.image.ref.name']);
};

test('index.json shows the references, and only them', () =>
  within(async (context) => {
    const { db, store, root } = context;
    assert.deepEqual(shownNames(root), []);
    await addImage(context, 'docker.io/library/a:1');
    assert.deepEqual(shownNames(root), []);
    await store.project();
    assert.deepEqual(shownNames(root), ['docker.io/library/a:1']);
    db.transaction(() => deleteReference(db, 'docker.io/library/a:1'));
    await store.project();
    assert.deepEqual(shownNames(root), []);
  }));

test('opening a store brings index.json up to date after a crash, or when it is damaged', () =>
  within(async (context) => {
    const { root } = context;
    await addImage(context, 'docker.io/library/a:1');
    for (const damage of [undefined, '', '{"annotations":{"mica.generation":"0"}}']) {
      if (damage !== undefined) writeFileSync(join(root, 'content', 'index.json'), damage);
      await using _ = await opened(root);
      assert.deepEqual(shownNames(root), ['docker.io/library/a:1']);
    }
  }));

test('processes that project at once leave the newest state', () =>
  within(async (context) => {
    const { db, store, root } = context;
    await addImage(context, 'docker.io/library/a:1');
    await using other = await opened(root);
    for (let round = 0; round < 20; round++) {
      db.transaction(() => deleteReference(db, `docker.io/library/none:${round}`));
      await Promise.all([store.project(), other.store.project(), store.project()]);
    }
    const text = readFileSync(join(root, 'content', 'index.json'), 'utf8');
    assert.equal(
      (JSON.parse(text) as { annotations: Record<string, string> }).annotations['mica.generation'],
      '21',
    );
    assert.equal(existsSync(join(root, 'index.lock')), false);
  }));

test(
  'skopeo reads an image out of the store in place, by its full name',
  { skip: needs('skopeo') },
  () =>
    within(async (context) => {
      const name = 'docker.io/library/a:1';
      await addImage(context, name);
      await context.store.project();
      const from = `oci:${join(context.root, 'content')}:${name}`;
      const shown = execFileSync('skopeo', ['inspect', '--raw', from], { encoding: 'utf8' });
      assert.equal((JSON.parse(shown) as { layers: unknown[] }).layers.length, 1);
      const to = join(context.root, 'copied');
      execFileSync('skopeo', ['copy', '--quiet', from, `dir:${to}`]);
      assert.ok(existsSync(join(to, 'manifest.json')));
    }),
);

test('a store can be read when nothing in it may be written', () =>
  within(async (context) => {
    const [target, bytes] = blob('read me');
    await context.store.push(target, reopenable(bytes));
    renameSync(join(context.root, 'content', 'index.json'), join(context.root, 'gone'));
    using db = await openDatabase(context.root, { readonly: true });
    await using reader = await openContentStore(db);
    assert.deepEqual(await read(reader.fetch(target)), bytes);
    assert.equal(existsSync(join(context.root, 'content', 'index.json')), false);
  }));

test('a database that breaks when a blob has come is told, and its download is left alone', () =>
  within(async ({ store, root }) => {
    const [target, bytes] = blob('x'.repeat(1000));
    const breaking: Reopenable = async function* (offset) {
      yield* reopenable(bytes)(offset);
      using raw = new DatabaseSync(join(root, 'mica.db'), { defensive: false });
      raw.exec(`pragma writable_schema = on;
        update sqlite_schema set sql = 'nonsense' where name = 'blob';
        pragma schema_version = 999`);
    };
    await assert.rejects(
      store.push(target, breaking),
      (error) => isCode(error, 'DATA_LOSS') && /mica\.db.*malformed/.test(error.message),
    );
    assert.equal(readFileSync(store.path(target.digest)).length, target.size);
  }));
