import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openDatabase } from '../../src/db/open.ts';
import { Leases } from '../../src/db/leases.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open.ts';
import { MicaError } from '../../src/errors.ts';
import { chainIds, type Digest } from '../../src/oci/digest.ts';
import { openSnapshotter } from '../../src/snapshot/local.ts';
import { chooseDriver } from '../../src/snapshot/drivers/index.ts';
import { killAtEveryStep } from '../../src/testing/crash.ts';
import { describeDirectory } from '../../src/testing/describe.ts';
import { within } from '../../src/testing/mounted.ts';
import { needs } from '../../src/testing/need.ts';
import { dir, file, type Tree, tree } from '../../src/testing/tree.ts';
import { windowsTar } from '../../src/testing/windows-layer.ts';
import { blobOf, newImage, type Pushed } from '../support/attempt.ts';
import { assertOnly, contentOf } from '../support/migrated.ts';
import { openOrigin } from '../support/origin.ts';
import { openSmallDisk } from '../support/small-disk.ts';
import { openTemporaryEngine } from '../support/store.ts';

/** Changes of the driver that are killed, refused, overtaken or out of space: nothing is ever lost. */
const skip = needs('overlay');
const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

const MB = 1_000_000;
const hostOf = async (): Promise<string> => new URL((await origin).url).host;

/** A store of driver overlay2 with an image that nobody has pulled before. */
async function openStore(): Promise<Engine & { readonly pushed: Pushed }> {
  const pushed = await newImage(await origin);
  const engine = await openTemporaryEngine({ driver: 'overlay2' });
  await engine.pull(`${await hostOf()}/${pushed.name}`);
  return { ...engine, pushed };
}

const MIGRATE = `
  const { openEngine } = await import(${JSON.stringify(new URL('../../src/engine/open.ts', import.meta.url).href)});
  const engine = await openEngine({ root });`;

/** The upper layer omits a directory that the lower one describes: it is made on that. */
const DEPENDENT: readonly Tree[] = [
  tree({ 'etc/name': file('base'), etc: dir({ mode: 0o750, uid: 7 }) }),
  tree({ 'etc/other': file('top') }, { parents: 'omit' }),
];

test('a migration may be killed at any step', { skip }, async () => {
  const there = await origin;
  await there.image('migrate/dependent', DEPENDENT);
  await using template = await mkdtempDisposable(join(tmpdir(), 'mica-migrate-'));
  const original = join(template.path, 'store');
  let before: object;
  {
    await using engine = await openEngine({ root: original, driver: 'overlay2' });
    await engine.pull(`${await hostOf()}/migrate/dependent`);
    before = await contentOf(engine);
  }
  const seen = new Set<string>();
  const steps = await killAtEveryStep({
    program: (root) => `
      const root = ${JSON.stringify(root)};
      const { execFileSync } = await import('node:child_process');
      execFileSync('cp', ['-a', ${JSON.stringify(original)}, root]);
      ${MIGRATE}
      await engine.driver();
      beginCounting();
      await engine.migrate({ driver: 'vfs' });`,
    check: async (root) => {
      await using engine = await openEngine({ root });
      const driver = await engine.driver();
      seen.add(driver);
      assert.deepEqual(await contentOf(engine), before);
      assert.deepEqual((await engine.check()).problems, []);
      await engine.gc();
      if (driver === 'vfs') await assertOnly(engine, 'vfs');
      await engine.migrate({ driver: 'vfs' });
      assert.deepEqual(await contentOf(engine), before);
      await assertOnly(engine, 'vfs');
    },
  });
  assert.ok(steps > 30, `${steps} steps`);
  assert.deepEqual([...seen].sort(), ['overlay2', 'vfs']);
});

/** To vfs; it ends when a layer is made. */
async function beginMigration(engine: Engine): Promise<void> {
  const stop = new AbortController();
  const migrating = engine.migrate({
    driver: 'vfs',
    signal: stop.signal,
    onProgress: ({ type }) => type === 'made' && stop.abort(new Error('enough')),
  });
  await assert.rejects(migrating, /enough/);
}

test('what was made is kept until it is used, or given up', { skip }, async () => {
  await using engine = await openStore();
  const before = await contentOf(engine);
  await beginMigration(engine);
  assert.equal((await engine.info()).migratingTo, 'vfs');
  assert.equal((await engine.usage()).reclaimable, 0);
  assert.deepEqual((await engine.gc()).layers, []);
  const sources = (await engine.migrate({ driver: 'vfs', dryRun: true })).layers.map(
    ({ source }) => source,
  );
  assert.deepEqual(sources, ['there', 'blob', 'blob']);

  await engine.migrate({ driver: 'overlay2' });
  assert.deepEqual(await contentOf(engine), before);
  await assertOnly(engine, 'overlay2');
});

test('another target discards what was made for the first', { skip }, async () => {
  await using engine = await openStore();
  const before = await contentOf(engine);
  await beginMigration(engine);
  await engine.migrate({ driver: 'tar' });
  await using after_ = await openEngine({ root: engine.root });
  assert.deepEqual(await contentOf(after_), before);
  await assertOnly(after_, 'tar');
});

test('an image that is pulled meanwhile comes along', { skip }, async () => {
  await using engine = await openStore();
  const { root } = engine;
  const late = await newImage(await origin);
  const reference = `${await hostOf()}/${late.name}`;
  // It has the store open, so the change waits for it.
  const other = await openEngine({ root });
  await other.driver();
  const pullAndClose = async (): Promise<void> => {
    await using last = other;
    await last.pull(reference);
  };
  let pulled: Promise<void> | undefined;
  await engine.migrate({
    driver: 'vfs',
    onProgress: ({ type }) => {
      if (type === 'planned') pulled = pullAndClose();
    },
  });
  await pulled;
  await using migrated = await openEngine({ root });
  assert.equal((await migrated.images()).length, 2);
  await assertOnly(migrated, 'vfs');
});

async function pull(root: string, reference: string): Promise<void> {
  await using engine = await openEngine({ root, driver: 'overlay2' });
  await engine.pull(reference);
}

test('a process that uses the store is waited for, and named', { skip }, async () => {
  await using engine = await openStore();
  const { root } = engine;
  const program = `const root = ${JSON.stringify(root)}; ${MIGRATE}
    await engine.driver(); console.log('open'); process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    await once(child.stdout, 'data');
    const refused = engine.migrate({ driver: 'vfs', patience: 50 });
    await assert.rejects(refused, (error: MicaError) => {
      assert.equal(error.code, 'UNAVAILABLE');
      assert.match(error.message, new RegExp(`process ${child.pid} \\(.*node`));
      return true;
    });
    assert.equal(await engine.driver(), 'overlay2');
    const holders: string[] = [];
    await engine.migrate({
      driver: 'vfs',
      onProgress: (event) => {
        if (event.type !== 'waiting') return;
        holders.push(...event.holders);
        child.stdin.end();
      },
    });
    assert.equal(holders.length, 1);
  } finally {
    child.kill();
  }
  await using migrated = await openEngine({ root });
  await assertOnly(migrated, 'vfs');
});

test('views and writable snapshots are in the way, and named', { skip }, async () => {
  await using engine = await openStore();
  const [{ id, layers }] = (await engine.images()) as [Awaited<ReturnType<Engine['image']>>];
  const { target } = await engine.mount(id);
  const migrate = (): Promise<unknown> => engine.migrate({ driver: 'vfs' });
  await assert.rejects(migrate(), { code: 'FAILED_PRECONDITION', message: new RegExp(target) });
  await engine.unmount(target);
  await withSnapshots(engine.root, async (snapshots) => {
    await snapshots.prepare('container-1', layers.at(-1)!.chainId);
  });
  await assert.rejects(migrate(), { code: 'FAILED_PRECONDITION', message: /container-1/ });
  await withSnapshots(engine.root, (snapshots) => snapshots.remove('container-1'));
  await migrate();
  await using migrated = await openEngine({ root: engine.root });
  await assertOnly(migrated, 'vfs');
});

async function withSnapshots(
  root: string,
  use: (snapshots: Awaited<ReturnType<typeof openSnapshotter>>) => Promise<unknown>,
): Promise<void> {
  using db = await openDatabase(root);
  const { driver } = await chooseDriver(db);
  await using snapshots = await openSnapshotter(db, new Leases(db), driver);
  await use(snapshots);
}

test('what was committed without an archive comes along', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-migrate-'));
  const root = join(directory.path, 'store');
  const pushed = await newImage(await origin);
  await pull(root, `${await hostOf()}/${pushed.name}`);
  const top = chainIds(pushed.image.diffIds).at(-1)!;
  await using place = await mkdtempDisposable(join(tmpdir(), 'mica-migrate-'));
  await withSnapshots(root, async (snapshots) => {
    await within(await snapshots.prepare('one', top), place.path, (tree_) => {
      rmSync(join(tree_, 'etc/base'));
      rmSync(join(tree_, 'data'), { recursive: true });
      mkdirSync(join(tree_, 'data'), { mode: 0o710 });
      writeFileSync(join(tree_, 'data/new'), 'new', { mode: 0o4750 });
    });
    await snapshots.commit('first', 'one');
    await within(await snapshots.prepare('two', 'first'), place.path, (tree_) => {
      renameSync(join(tree_, 'data/new'), join(tree_, 'moved'));
    });
    await snapshots.commit('second', 'two');
  });
  const look = async (): Promise<string> => {
    let tree_ = '';
    await withSnapshots(root, async (snapshots) => {
      const mounts = await snapshots.view('look', 'second');
      await within(mounts, place.path, (path) => void (tree_ = describeDirectory(path)));
      await snapshots.remove('look');
    });
    return tree_;
  };
  const before = await look();
  assert.match(before, /\/moved\tfile\t4750/);
  for (const driver of ['vfs', 'overlay2', 'tar', 'vfs', 'tar', 'overlay2']) {
    await using other = await openEngine({ root });
    const { layers } = await other.migrate({ driver });
    assert.ok(layers.every(({ source, bytes }) => source !== 'none' && bytes > 0));
    if (driver !== 'tar') assert.equal(await look(), before, driver);
    assert.deepEqual((await other.check()).problems, []);
  }
});

test(
  'what is written on layers of overlay2 is carried over to erofs, and back',
  { skip: skip || needs('erofs') },
  async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-migrate-'));
    const [root, place] = [join(directory.path, 'store'), join(directory.path, 'place')];
    mkdirSync(place);
    const pushed = await newImage(await origin);
    await pull(root, `${await hostOf()}/${pushed.name}`);
    const top = chainIds(pushed.image.diffIds).at(-1)!;
    const migrate = async (driver: string): Promise<void> => {
      await using engine = await openEngine({ root });
      await engine.migrate({ driver });
    };
    /** While it is mounted, which another process may not know, nothing changes. */
    const look = async (
      other: string,
      edit: (path: string) => void = () => {},
    ): Promise<string> => {
      let seen = '';
      await withSnapshots(root, async (snapshots) => {
        await within(await snapshots.mounts('container'), place, async (path) => {
          edit(path);
          seen = describeDirectory(path);
          await assert.rejects(migrate(other), { message: /container is mounted on .*place/ });
        });
      });
      return seen;
    };
    await withSnapshots(root, (snapshots) => snapshots.prepare('container', top));
    let before = await look('erofs', (path) => {
      rmSync(join(path, 'etc/base'));
      writeFileSync(join(path, 'etc/top'), 'changed');
    });
    assert.doesNotMatch(before, /etc\/base/);
    await migrate('erofs');
    assert.equal(await look('overlay2'), before);
    before = await look('overlay2', (path) => writeFileSync(join(path, 'etc/more'), 'in erofs'));
    await migrate('overlay2');
    assert.equal(await look('erofs'), before);
    await withSnapshots(root, (snapshots) => snapshots.commit('committed', 'container'));
    await migrate('erofs');
    let after_ = '';
    await withSnapshots(root, async (snapshots) => {
      const mounts = await snapshots.view('look', 'committed');
      await within(mounts, place, (path) => void (after_ = describeDirectory(path)));
      await snapshots.remove('look');
    });
    assert.equal(after_, before);
  },
);

/** Takes a blob away as a policy does that does not keep them. */
async function dropBlob(root: string, digest: Digest): Promise<void> {
  using db = await openDatabase(root);
  db.run('delete from blob where digest = ?', digest);
  rmSync(blobOfPath(root, digest));
}

const blobOfPath = (root: string, digest: Digest): string =>
  join(root, 'content/blobs', digest.replace(':', '/'));

test('a blob that is gone is fetched again', { skip }, async () => {
  await using engine = await openStore();
  const before = await contentOf(engine);
  const { digest } = engine.pushed.image.layers[1]!;
  await dropBlob(engine.root, digest);
  const { layers } = await engine.migrate({ driver: 'tar' });
  assert.deepEqual(
    layers.map(({ source }) => source),
    ['blob', 'registry', 'blob'],
  );
  assert.ok(blobOf(engine, digest));
  {
    using db = await openDatabase(engine.root, { readonly: true });
    assert.deepEqual(
      db.get<{ state: string }>('select state from blob where digest = ?', digest)?.state,
      'ready',
    );
  }
  await using migrated = await openEngine({ root: engine.root });
  assert.deepEqual(await contentOf(migrated), before);
  await assertOnly(migrated, 'tar');
});

test(
  'a layer that can be had from nowhere is named before anything is made',
  { skip },
  async () => {
    await using engine = await openStore();
    const { digest } = engine.pushed.image.layers[1]!;
    const diffId = engine.pushed.image.diffIds[1]!;
    await dropBlob(engine.root, digest);
    {
      using db = await openDatabase(engine.root);
      db.run('delete from repo_digest');
    }
    const plan = await engine.migrate({ driver: 'vfs', dryRun: true });
    assert.deepEqual(
      plan.layers.map(({ source }) => source),
      ['blob', 'none', 'blob'],
    );
    assert.match(plan.obstacles.join(), new RegExp(`${diffId}.*pull`));
    const made: unknown[] = [];
    await assert.rejects(
      engine.migrate({ driver: 'vfs', onProgress: (event) => made.push(event) }),
      { code: 'FAILED_PRECONDITION', message: new RegExp(diffId) },
    );
    assert.deepEqual(made, []);
    assert.equal((await engine.info()).migratingTo, undefined);
  },
);

test('a damaged tar is not trusted: the layer comes from its blob', { skip }, async () => {
  await using engine = await openTemporaryEngine({ driver: 'tar' });
  const image = await newImage(await origin);
  await engine.pull(`${await hostOf()}/${image.name}`);
  const before = await contentOf(engine);
  const [base] = (await engine.images())[0]!.layers;
  const path = join(base!.directory, 'layer.tar');
  const bytes = readFileSync(path);
  bytes[600]! ^= 1;
  writeFileSync(path, bytes);
  await engine.migrate({ driver: 'overlay2' });
  await using migrated = await openEngine({ root: engine.root });
  assert.deepEqual(await contentOf(migrated), before);
  await assertOnly(migrated, 'overlay2');
});

test(
  'a full disk leaves the store as it was, and says how much is lacking',
  { skip: skip || needs('loop') },
  async () => {
    const there = await origin;
    const layers = [
      tree({ small: file('small') }),
      tree({ big: file(Buffer.alloc(12 * MB, 'no hole')) }),
    ];
    await there.image('migrate/big', layers);
    await using disk = await openSmallDisk(20 * MB, 80 * MB);
    const root = join(disk.path, 'store');
    await using engine = await openEngine({ root, driver: 'overlay2' });
    await engine.pull(`${await hostOf()}/migrate/big`);
    const before = await contentOf(engine);
    await assert.rejects(engine.migrate({ driver: 'vfs' }), (error: MicaError) => {
      assert.equal(error.code, 'RESOURCE_EXHAUSTED');
      const [, lacking] = /about (\d+) MB more are needed/.exec(error.message) ?? [];
      assert.ok(Number(lacking) > 2 && Number(lacking) < 13, error.message);
      return true;
    });
    assert.deepEqual(await contentOf(engine), before);
    assert.deepEqual((await engine.check()).problems, []);
    // Giving up frees what was made; there is room for that even now.
    await engine.migrate({ driver: 'overlay2' });
    await assertOnly(engine, 'overlay2');
    await assert.rejects(engine.migrate({ driver: 'vfs' }), { code: 'RESOURCE_EXHAUSTED' });
    await disk.makeRoom();
    await engine.migrate({ driver: 'vfs' });
    await using migrated = await openEngine({ root });
    assert.deepEqual(await contentOf(migrated), before);
    await assertOnly(migrated, 'vfs');
  },
);

test(
  'a disk that fills up while the archive of a Windows layer is made again is told in the same words',
  { skip: needs('loop') },
  async () => {
    const there = await origin;
    const platform = { os: 'windows', architecture: 'amd64' };
    const layer = windowsTar([
      { path: 'Files/big.bin', content: Buffer.alloc(12 * MB, 'no hole') },
    ]);
    await there.push('migrate/windows', await there.fixture.image([layer], { platform }));
    await using disk = await openSmallDisk(20 * MB, 80 * MB);
    const root = join(disk.path, 'store');
    await using engine = await openEngine({ root, driver: 'windowsfilter' });
    await engine.pull(`${await hostOf()}/migrate/windows`, { platform });
    await engine.setLayerBlobs('refetch');
    await engine.settleBlobs();
    const before = await contentOf(engine);
    await assert.rejects(
      engine.migrate({ driver: 'tar' }),
      (error: MicaError) =>
        error.code === 'RESOURCE_EXHAUSTED' &&
        /about \d+ MB more are needed.*make room/.test(error.message),
    );
    assert.deepEqual(await contentOf(engine), before);
    await disk.makeRoom();
    await engine.migrate({ driver: 'tar' });
    await using migrated = await openEngine({ root });
    assert.deepEqual(await contentOf(migrated), before);
    await assertOnly(migrated, 'tar');
  },
);
