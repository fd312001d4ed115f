import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { copy } from '../../src/content/copy.ts';
import { openContentStore } from '../../src/content/file-store.ts';
import { Leases } from '../../src/db/leases.ts';
import { generation } from '../../src/db/meta.ts';
import { openDatabase } from '../../src/db/open.ts';
import { storeBackend } from '../../src/distribution/backend/store.ts';
import { serveRegistry } from '../../src/distribution/server.ts';
import type { LayerBlobsPolicy } from '../../src/engine/config.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { type DiffId, sha256 } from '../../src/oci/digest.ts';
import * as mediaTypes from '../../src/oci/media-type.ts';
import { hostPlatform } from '../../src/oci/platform.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import type { ImageFixture } from '../../src/testing/image-fixture.ts';
import { needs } from '../../src/testing/need.ts';
import { prose } from '../../src/testing/prose.ts';
import { openDockerRegistry } from '../../src/testing/repository/docker-registry.ts';
import { file, tarOf, tree } from '../../src/testing/tree.ts';
import { openOrigin, type Origin } from '../support/origin.ts';

/** What a store does with the compressed blobs of layers, from the pull to the push. */
const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

type Compress = (tar: Buffer) => Buffer;

/** As no encoder writes it: an empty frame first. */
const strange: Compress = (tar) =>
  Buffer.concat([Buffer.from('28b52ffd2000010000', 'hex'), zstdCompressSync(tar)]);

/** Pushes an image with a layer for each way to compress one. */
async function pushed(name: string, ways: readonly Compress[], first = 0): Promise<ImageFixture> {
  const there = await origin;
  const { fixture } = there;
  const tars = ways.map((_, at) =>
    tarOf(tree({ [`file-${first + at}`]: file(prose(60_000, first + at + 1)) })),
  );
  const diffIds = tars.map((tar) => sha256(tar) as DiffId);
  const config = fixture.addJson(mediaTypes.OCI_CONFIG, {
    ...hostPlatform(),
    name,
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  const layers = tars.map((tar, at) => fixture.add(mediaTypes.OCI_LAYER, ways[at]!(tar)));
  const mediaType = mediaTypes.OCI_MANIFEST;
  const descriptor = fixture.addJson(mediaType, { schemaVersion: 2, mediaType, config, layers });
  const image: ImageFixture = { descriptor, config, layers, tars, diffIds };
  await there.push(name, image);
  return image;
}

interface Place {
  readonly there: Origin;
  readonly root: string;
  readonly open: (layerBlobs?: LayerBlobsPolicy) => Promise<Engine>;
  /** The file of a blob is there. */
  readonly has: (blob: Descriptor) => boolean;
}

async function within(run: (place: Place) => Promise<void>, driver = 'tar'): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-blobs-'));
  const root = join(dir.path, 'store');
  await run({
    there: await origin,
    root,
    open: (layerBlobs) => openEngine({ root, driver, layerBlobs }),
    has: ({ digest }) => existsSync(join(root, 'content/blobs', digest.replace(':', '/'))),
  });
}

const WAYS: readonly Compress[] = [
  (tar) => tar,
  (tar) => gzipSync(tar, { level: 1 }),
  (tar) => gzipSync(tar),
  (tar) => gzipSync(tar, { level: 9, memLevel: 9 }),
  (tar) => zstdCompressSync(tar),
];

test(
  'an image whose blobs were all dropped is pushed with the same digests',
  { skip: needs('docker-registry') },
  () =>
    within(async ({ there, root, open, has }) => {
      const image = await pushed('round/trip', WAYS);
      await using proxy = await there.proxy();
      {
        await using engine = await open('recreate');
        await engine.pull(`${proxy.host}/round/trip`);
        const { proven, dropped, pending } = await engine.settleBlobs();
        assert.deepEqual([proven.length, dropped.length, pending.length], [5, 5, 0]);
        assert.ok(!image.layers.some(has));
        assert.deepEqual((await engine.check()).problems, []);
      }
      await using registry = await openDockerRegistry();
      await using client = openRegistry();
      using db = await openDatabase(root);
      await using content = await openContentStore(db);
      const reference = parseReference(`${registry.url.slice('http://'.length)}/other/name:1`);
      const to = client.repository(reference);
      await copy(content, to, image.descriptor);
      await to.tag('1', image.descriptor);
      const answer = await to.resolve('1');
      assert.equal(answer.digest, image.descriptor.digest);
      for (const [at, layer] of image.layers.entries()) {
        const bytes = Buffer.concat(await Array.fromAsync(to.fetch(layer)));
        assert.equal(sha256(bytes), layer.digest, `layer ${at}`);
      }
    }),
);

test('small blobs are dropped in one transaction, not one by one: each reads all manifests', () =>
  within(async ({ there, root, open }) => {
    await pushed('together', WAYS, 40);
    await using proxy = await there.proxy();
    await using engine = await open('recreate');
    await engine.pull(`${proxy.host}/together`);
    using db = await openDatabase(root);
    const before = generation(db);
    const { dropped } = await engine.settleBlobs();
    assert.deepEqual([dropped.length, generation(db) - before], [5, 1]);
  }));

test('a layer by an unknown encoder keeps its blob, and the report says why', () =>
  within(async ({ there, open, has }) => {
    const image = await pushed('foreign', [(tar) => gzipSync(tar), strange], 10);
    await using proxy = await there.proxy();
    await using engine = await open('recreate');
    await engine.pull(`${proxy.host}/foreign`);
    const before = await engine.layerBlobs();
    assert.deepEqual(
      before.layers.map(({ recipe }) => recipe),
      ['unknown', 'unknown'],
    );
    const result = await engine.settleBlobs();
    assert.deepEqual([result.proven.length, result.unproven.length], [1, 1]);
    assert.deepEqual(image.layers.map(has), [false, true]);
    const { layers } = await engine.layerBlobs();
    assert.deepEqual(
      layers.map(({ state, recipe }) => `${state} ${recipe}`),
      ['dropped proven', 'kept none'],
    );
    assert.match(layers[1]!.reason!, /libzstd/);
    // Nothing is tried twice.
    const again = await engine.settleBlobs();
    assert.deepEqual([again.proven, again.unproven, again.dropped], [[], [], []]);
  }));

for (const policy of ['recreate', 'refetch'] as const)
  test(`a pull of another image does not fetch a layer that is here, its blob dropped by ${policy}`, () =>
    within(async ({ there, open, has }) => {
      const offset = policy === 'recreate' ? 20 : 30;
      const ways = [WAYS[2]!, WAYS[1]!];
      const one = await pushed(`shared/${policy}/one`, [ways[0]!], offset);
      const two = await pushed(`shared/${policy}/two`, ways, offset);
      await using proxy = await there.proxy();
      await using engine = await open(policy);
      await engine.pull(`${proxy.host}/shared/${policy}/one`);
      await engine.settleBlobs();
      assert.equal(has(one.layers[0]!), false);
      const fetched = proxy.sent(one.layers[0]!.digest);
      const plan = await engine.plan(`${proxy.host}/shared/${policy}/two`);
      assert.equal(plan.fetch, two.layers[1]!.size);
      await engine.pull(`${proxy.host}/shared/${policy}/two`);
      assert.equal(proxy.sent(one.layers[0]!.digest), fetched);
      assert.deepEqual(two.layers.map(has), [false, true]);
      assert.deepEqual((await engine.check()).problems, []);
      // The first image goes, the layer of the second stays whole.
      await engine.remove(`${proxy.host}/shared/${policy}/one`);
      await engine.gc();
      await engine.restoreBlob(two.layers[0]!);
      assert.ok(has(two.layers[0]!));
      assert.deepEqual((await engine.check()).problems, []);
    }));

test('refetch drops at once, fetches when something is needed, and keeps what has no origin', () =>
  within(async ({ there, root, open, has }) => {
    const image = await pushed('refetch', [WAYS[2]!, strange], 40);
    await using proxy = await there.proxy();
    await using engine = await open('refetch');
    await engine.pull(`${proxy.host}/refetch`);
    {
      using db = await openDatabase(root);
      db.run('delete from repo_digest');
      assert.deepEqual((await engine.settleBlobs({ prove: false })).dropped, []);
    }
    await engine.remove(`${proxy.host}/refetch`);
    await engine.gc();
    await engine.pull(`${proxy.host}/refetch`);
    const { dropped, bytes } = await engine.settleBlobs({ prove: false });
    assert.deepEqual(dropped.toSorted(), image.layers.map(({ digest }) => digest).toSorted());
    assert.equal(bytes, image.layers[0]!.size + image.layers[1]!.size);
    const sent = proxy.sent(image.layers[1]!.digest);
    await engine.restoreBlob(image.layers[1]!);
    assert.equal(proxy.sent(image.layers[1]!.digest), sent + image.layers[1]!.size);
    assert.deepEqual(image.layers.map(has), [false, true]);
  }));

test('a blob is fetched for an image that shares it, although the one that it was pulled with is gone', () =>
  within(async ({ there, root, open, has }) => {
    const image = await pushed('gone', [WAYS[2]!], 160);
    await using proxy = await there.proxy();
    await using engine = await open('refetch');
    await engine.pull(`${proxy.host}/gone`);
    await engine.settleBlobs({ prove: false });
    await engine.tag(`${proxy.host}/gone`, 'mine:1');
    {
      // As if it had been committed here: no repository has this image.
      using db = await openDatabase(root);
      db.run('delete from repo_digest');
    }
    await engine.remove(`${proxy.host}/gone`);
    await engine.gc();
    assert.deepEqual((await engine.check()).problems, []);
    await engine.restoreBlob(image.layers[0]!);
    assert.ok(image.layers.every(has));
  }));

test('our registry serves dropped blobs, and what is pushed to it keeps its own', () =>
  within(async ({ there, root, open, has }) => {
    const image = await pushed('served', [WAYS[2]!, strange], 50);
    await using proxy = await there.proxy();
    {
      await using engine = await open('recreate');
      await engine.pull(`${proxy.host}/served`);
      await engine.settleBlobs();
    }
    const [layer] = image.layers;
    const path = (blob: Descriptor): string =>
      `/v2/${proxy.host.replace(':', '_')}/served/blobs/${blob.digest}`;
    {
      await using backend = await storeBackend(root);
      await using server = await serveRegistry({ backend });
      const head = await fetch(server.url + path(layer!), { method: 'HEAD' });
      assert.equal(head.headers.get('content-length'), String(layer!.size));
      assert.equal(has(layer!), false);
      const answer = await fetch(server.url + path(layer!));
      assert.equal(sha256(Buffer.from(await answer.arrayBuffer())), layer!.digest);
    }
    await using engine = await open('recreate');
    // Kept for an hour, unless somebody mounts it.
    assert.deepEqual((await engine.settleBlobs()).dropped, []);
    {
      using db = await openDatabase(root);
      db.run('update blob set created = 1');
    }
    assert.equal((await engine.settleBlobs()).dropped.length, 1);
    {
      await using backend = await storeBackend(root, { writable: true });
      const from = `${proxy.host.replace(':', '_')}/served`;
      assert.ok(await backend.writer.mountBlob('mine', layer!.digest, from));
      assert.ok(has(layer!));
    }
    {
      using db = await openDatabase(root);
      db.run('update blob set created = 1');
    }
    assert.deepEqual((await engine.settleBlobs()).dropped, []);
    assert.ok(has(layer!));
  }));

test('check finds a damaged recipe and a damaged tar, and repairs both from the registry', () =>
  within(async ({ there, root, open }) => {
    const image = await pushed('damaged', [WAYS[2]!, WAYS[1]!], 60);
    await using proxy = await there.proxy();
    await using engine = await open('recreate');
    const { image: stored } = await engine.pull(`${proxy.host}/damaged`);
    await engine.settleBlobs();
    {
      using db = await openDatabase(root);
      db.run(`update recipe set data = x'00' where digest = ?`, image.layers[0]!.digest);
    }
    const tar = join(stored.layers[1]!.directory, 'layer.tar');
    const bytes = readFileSync(tar);
    writeFileSync(tar, Buffer.from(bytes).fill(3, 2000, 9000));
    const { problems } = await engine.check();
    assert.deepEqual(problems.map(({ kind }) => kind).toSorted(), ['image', 'layer']);
    const repaired = await engine.check({ repair: true });
    assert.ok(
      repaired.problems.every((problem) => problem.repaired),
      JSON.stringify(repaired.problems),
    );
    assert.deepEqual((await engine.check()).problems, []);
    assert.ok(readFileSync(tar).equals(bytes));
  }));

test('keep brings back what was dropped, durable', () =>
  within(async ({ there, open, has }) => {
    const image = await pushed('back', WAYS.slice(1, 4), 70);
    await using proxy = await there.proxy();
    await using engine = await open();
    await engine.setLayerBlobs('recreate');
    await engine.pull(`${proxy.host}/back`);
    assert.equal((await engine.settleBlobs()).dropped.length, 3);
    await engine.setLayerBlobs('keep');
    const { restored, policy } = await engine.settleBlobs({ restore: true });
    assert.deepEqual([restored.length, policy], [3, 'keep']);
    assert.ok(image.layers.every(has));
    const { layers } = await engine.layerBlobs();
    assert.ok(layers.every(({ state }) => state === 'kept'));
    assert.deepEqual((await engine.check()).problems, []);
  }));

test('removing the last image leaves neither recipe nor trace of what was dropped', () =>
  within(async ({ there, root, open }) => {
    await pushed('removed', [WAYS[2]!], 80);
    await using proxy = await there.proxy();
    await using engine = await open('recreate');
    await engine.pull(`${proxy.host}/removed`);
    await engine.settleBlobs();
    await engine.remove(`${proxy.host}/removed`);
    await engine.gc();
    using db = await openDatabase(root, { readonly: true });
    for (const table of ['recipe', 'dropped', 'layer'])
      assert.equal(db.get(`select 1 from ${table}`), undefined, table);
  }));

test('a driver that extracts layers keeps blobs under recreate', { skip: needs('root') }, () =>
  within(async ({ there, open, has }) => {
    const image = await pushed('extracted', [WAYS[2]!], 90);
    await using proxy = await there.proxy();
    await using engine = await open('recreate');
    await engine.pull(`${proxy.host}/extracted`);
    const result = await engine.settleBlobs();
    assert.deepEqual([result.dropped, result.pending], [[], []]);
    assert.ok(image.layers.every(has));
    assert.match((await engine.layerBlobs()).layers[0]!.reason!, /driver/);
  }, 'vfs'),
);

test('what a running operation holds is not dropped', () =>
  within(async ({ there, root, open, has }) => {
    const image = await pushed('held', [WAYS[2]!, WAYS[1]!], 150);
    await using proxy = await there.proxy();
    await using engine = await open('recreate');
    await engine.pull(`${proxy.host}/held`);
    using db = await openDatabase(root);
    {
      using lease = new Leases(db).open('somebody');
      lease.hold('blob', [image.layers[0]!.digest]);
      const { proven, dropped } = await engine.settleBlobs();
      assert.deepEqual([proven.length, dropped], [2, [image.layers[1]!.digest]]);
      assert.ok(has(image.layers[0]!));
    }
    const { dropped } = await engine.settleBlobs({ prove: false });
    assert.deepEqual(dropped, [image.layers[0]!.digest]);
  }));

test('of two that settle at once one leaves it to the other, and all is done', () =>
  within(async ({ there, open, has }) => {
    const image = await pushed('twice', WAYS, 100);
    await using proxy = await there.proxy();
    await using one = await open('recreate');
    await using two = await open('recreate');
    await one.pull(`${proxy.host}/twice`);
    // Opened before: else one could be done before the other begins.
    await two.driver();
    const results = await Promise.all([one.settleBlobs(), two.settleBlobs()]);
    assert.equal(results.filter(({ busy }) => busy).length, 1);
    assert.ok(!image.layers.some(has));
    const waited = await two.settleBlobs({ wait: true });
    assert.deepEqual([waited.busy, waited.proven], [false, []]);
  }));

test('what is stopped in the middle goes on where it was', () =>
  within(async ({ there, open, has }) => {
    const image = await pushed('stopped', WAYS, 110);
    await using proxy = await there.proxy();
    await using engine = await open('recreate');
    await engine.pull(`${proxy.host}/stopped`);
    const stop = new AbortController();
    const reason = new Error('enough');
    let seen = 0;
    const onProgress = (): void => {
      if (++seen === 2) stop.abort(reason);
    };
    await assert.rejects(engine.settleBlobs({ signal: stop.signal, onProgress }), reason);
    assert.equal(image.layers.filter(has).length, 3);
    const rest = await engine.settleBlobs();
    assert.equal(rest.proven.length, 3);
    assert.ok(!image.layers.some(has));
  }));

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

test('a process that settles may be killed at any time; the next one goes on', () =>
  within(async ({ there, root, open, has }) => {
    const image = await pushed('killed', WAYS, 120);
    await using proxy = await there.proxy();
    {
      await using engine = await open();
      await engine.setLayerBlobs('recreate');
      await engine.pull(`${proxy.host}/killed`);
    }
    const kept: number[] = [];
    for (let patience = 200; ; patience += Math.max(150, patience / 4)) {
      const child = spawn(process.execPath, [MAIN, '--root', root, '__settle'], {
        stdio: 'inherit',
      });
      const exit = once(child, 'exit');
      await Promise.race([exit, sleep(patience)]);
      child.kill('SIGKILL');
      await exit;
      kept.push(image.layers.filter(has).length);
      await using engine = await open();
      assert.deepEqual((await engine.check()).problems, []);
      if (child.signalCode === null) break;
    }
    assert.equal(kept.at(-1), 0, kept.join());
    using db = await openDatabase(root);
    await using content = await openContentStore(db);
    for (const layer of image.layers) {
      const bytes = Buffer.concat(await Array.fromAsync(content.fetch(layer)));
      assert.equal(sha256(bytes), layer.digest);
    }
  }));

test('a pull on the command line ends before the search for recipes, which goes on by itself', () =>
  within(async ({ there, root, open, has }) => {
    const image = await pushed('behind', WAYS, 130);
    await using proxy = await there.proxy();
    const config = `${root}.json`;
    writeFileSync(config, JSON.stringify({ 'layer-blobs': 'recreate' }));
    const words = ['--root', root, '--storage-driver', 'tar', '--config', config, 'pull', '-q'];
    const child = spawn(process.execPath, [MAIN, ...words, `${proxy.host}/behind`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.ok(image.layers.some(has));
    // It is as nice as can be: on a busy machine it waits for everybody else.
    for (let tries = 0; image.layers.some(has) && tries < 6000; tries++) await sleep(50);
    assert.ok(!image.layers.some(has));
    await using engine = await open('recreate');
    // Waits for the other process to end.
    assert.deepEqual((await engine.settleBlobs({ wait: true })).pending, []);
  }));

test(
  'a store that leaves a driver with tars takes the blobs along that are made from them',
  { skip: needs('root') },
  () =>
    within(async ({ there, root, open, has }) => {
      const image = await pushed('moved', WAYS, 140);
      await using proxy = await there.proxy();
      {
        await using engine = await open('recreate');
        await engine.pull(`${proxy.host}/moved`);
        await engine.settleBlobs();
        assert.ok(!image.layers.some(has));
        const sent = image.layers.map(({ digest }) => proxy.sent(digest));
        await engine.migrate({ driver: 'vfs' });
        assert.deepEqual(
          image.layers.map(({ digest }) => proxy.sent(digest)),
          sent,
        );
      }
      await using engine = await openEngine({ root, layerBlobs: 'recreate' });
      assert.ok(image.layers.every(has));
      await engine.settleBlobs();
      assert.ok(image.layers.every(has));
      assert.deepEqual((await engine.check()).problems, []);
    }),
);
