import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Bytes } from '../io/bytes.ts';
import { compress } from '../io/compress.ts';
import { sha256 } from '../oci/digest.ts';
import { killAtEveryStep } from '../testing/crash.ts';
import { within } from '../testing/mounted.ts';
import { END, member } from '../testing/hand-made-tar.ts';
import { listDirectory } from '../testing/listing.ts';
import { materialise } from '../testing/materialise.ts';
import { needs } from '../testing/need.ts';
import { dir, file, hardlink, link, sparse, tree, whiteout } from '../testing/tree.ts';
import { jobOf } from '../testing/unpack-stack.ts';
import { Available } from './available.ts';
import { archiveOfChanges } from './diff/archive.ts';
import { upperChanges } from './diff/diff.ts';
import { pack, packArchive, packChanges } from './pack.ts';
import { unpackLayer } from './unpack-layer.ts';

const skip = needs('root');

const UPPER = tree({
  'bin/tool': file('#!/bin/sh', { mode: 0o4755, xattrs: { 'user.note': 'x' } }),
  'bin/alias': hardlink('bin/tool'),
  'bin/short': link('tool'),
  'etc/motd': whiteout(),
  'var/cache': dir({ opaque: true }),
  'var/disk': sparse(3 << 20, { 0: 'begin', [2 << 20]: 'more' }),
});

/** An upper directory as an overlay leaves it, and a directory for a layer. */
async function scratch() {
  const work = await mkdtempDisposable(join(tmpdir(), 'pack-'));
  const [upper, layer] = [join(work.path, 'upper'), join(work.path, 'layer')];
  mkdirSync(upper);
  mkdirSync(layer);
  materialise(UPPER, upper);
  return { work, upper: { path: upper, whiteouts: 'overlay' } as const, layer };
}

/** Of the root and of what was deleted the archive tells no time. */
const filesOf = (directory: string): unknown[] =>
  listDirectory(join(directory, 'fs')).map(({ mtime, ...rest }) => ({
    ...rest,
    mtime: mtime > NEWER ? undefined : mtime,
  }));
const NEWER = 1_700_000_000_000_000_000n;

async function* bytesOf(chunks: readonly Uint8Array[]): Bytes {
  yield* chunks;
}

test('a packed layer is what unpacking its archive gives', { skip }, async () => {
  const { work, upper, layer } = await scratch();
  await using _ = work;
  const facts = await pack(upper, layer);
  assert.deepEqual(readdirSync(layer).sort(), ['index.erofs', 'layer.tar']);
  const tar = readFileSync(join(layer, 'layer.tar'));
  const again = join(work.path, 'again');
  mkdirSync(again);
  const options = { available: Available.complete(tar.length) };
  const { digest: _digest, ...unpacked } = await unpackLayer(jobOf(tar, 'tar', again), options);
  assert.deepEqual(facts, { ...unpacked, stats: { ...unpacked.stats } });
  assert.ok(
    readFileSync(join(layer, 'index.erofs')).equals(readFileSync(join(again, 'index.erofs'))),
  );
});

test(
  'once a layer is packed, packing tells the same without the upper directory',
  { skip },
  async () => {
    const { work, upper, layer } = await scratch();
    await using _ = work;
    const facts = await pack(upper, layer);
    rmSync(upper.path, { recursive: true });
    assert.deepEqual(await pack(upper, layer), facts);
  },
);

test(
  'beside the files of a layer only its index is made, for the same archive',
  { skip },
  async () => {
    const { work, upper, layer } = await scratch();
    await using _ = work;
    const facts = await packChanges(await upperChanges(upper), layer, { keep: 'index' });
    assert.deepEqual(readdirSync(layer), ['index.erofs']);
    rmSync(join(layer, 'index.erofs'));
    assert.deepEqual(await pack(upper, layer), facts);
  },
);

for (const form of ['overlay', 'userxattr', 'aufs', 'tar'] as const)
  test(`an archive is packed in form ${form} as unpacking it would`, { skip }, async () => {
    const { work, upper, layer } = await scratch();
    await using _ = work;
    const archive = await Array.fromAsync(archiveOfChanges(await upperChanges(upper)));
    const options = { keep: form, durable: false };
    const facts = await packArchive(bytesOf(archive), layer, options);
    const again = join(work.path, 'again');
    mkdirSync(again);
    const tar = Buffer.concat(archive);
    const available = Available.complete(tar.length);
    const { digest: _digest, ...unpacked } = await unpackLayer(jobOf(tar, form, again), {
      available,
    });
    assert.deepEqual(facts, { ...unpacked, stats: { ...unpacked.stats } });
    assert.deepEqual(readdirSync(layer), readdirSync(again));
    if (form === 'tar') assert.ok(tar.equals(readFileSync(join(layer, 'layer.tar'))));
    else assert.deepEqual(filesOf(layer), filesOf(again));
    assert.ok(
      readFileSync(join(layer, 'index.erofs')).equals(readFileSync(join(again, 'index.erofs'))),
    );
  });

test('of an archive whose tree depends on what is below nothing is kept but facts', async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'pack-'));
  const archive = Buffer.concat([member('no/parent', 'x'), END]);
  const facts = await packArchive(bytesOf([archive]), work.path, { keep: 'tar' });
  assert.deepEqual([facts.dependent, facts.diffId], [true, sha256(archive)]);
  assert.deepEqual(readdirSync(work.path), []);
});

test('a tap gets the archive while it is made', { skip }, async () => {
  const { work, upper, layer } = await scratch();
  await using _ = work;
  const blob: Uint8Array[] = [];
  const tap = async (tar: Bytes): Promise<void> => {
    for await (const chunk of compress(tar, 'gzip')) blob.push(chunk);
  };
  const { diffId } = await packChanges(await upperChanges(upper), layer, { tap });
  const tar = gunzipSync(Buffer.concat(blob));
  assert.equal(sha256(tar), diffId);
  assert.ok(tar.equals(readFileSync(join(layer, 'layer.tar'))));
});

test('a tap that fails, or an abort, leaves nothing', { skip }, async () => {
  const { work, upper, layer } = await scratch();
  await using _ = work;
  writeFileSync(join(upper.path, 'large'), Buffer.alloc(20 << 20, 1));
  const changes = await upperChanges(upper);
  const failing = async (tar: Bytes): Promise<void> => {
    for await (const chunk of tar) throw new Error(`no room for ${chunk.length}`);
  };
  await assert.rejects(packChanges(changes, layer, { tap: failing }), /no room for 262144/);
  assert.deepEqual(readdirSync(layer), []);
  const stop = new AbortController();
  const aborting = async (tar: Bytes): Promise<void> => {
    for await (const _chunk of tar) stop.abort(new Error('enough'));
  };
  const { signal } = stop;
  await assert.rejects(packChanges(changes, layer, { tap: aborting, signal }), /enough/);
  await assert.rejects(pack(upper, layer, { signal }), /enough/);
  assert.deepEqual(readdirSync(layer), []);
});

test(
  'a full disk is told, leaves nothing, and packing goes on when there is room',
  { skip: needs('overlay') },
  async () => {
    const { work, upper, layer } = await scratch();
    await using _ = work;
    writeFileSync(join(upper.path, 'large'), Buffer.alloc(2 << 20, 1));
    const tmpfs = { type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] };
    await within([tmpfs], layer, async (full) => {
      await assert.rejects(pack(upper, full), { code: 'RESOURCE_EXHAUSTED' });
      assert.deepEqual(readdirSync(full), []);
      truncateSync(join(upper.path, 'large'), 1000);
      const { diffId } = await pack(upper, full);
      assert.equal(sha256(readFileSync(join(full, 'layer.tar'))), diffId);
    });
  },
);

test('a tap may leave early', { skip }, async () => {
  const { work, upper, layer } = await scratch();
  await using _ = work;
  writeFileSync(join(upper.path, 'large'), Buffer.alloc(20 << 20, 1));
  const changes = await upperChanges(upper);
  const tap = async (tar: Bytes): Promise<void> => {
    for await (const _chunk of tar) break;
  };
  const facts = await packChanges(changes, layer, { tap });
  assert.equal(sha256(readFileSync(join(layer, 'layer.tar'))), facts.diffId);
});

test(
  'packing that was killed at any step leaves no half layer, and can be repeated',
  { skip },
  async () => {
    const { work, upper, layer } = await scratch();
    await using _ = work;
    const facts = await pack(upper, layer);
    const steps = await killAtEveryStep({
      program: (root) => `
      import { pack } from '${import.meta.dirname}/pack.ts';
      fs.mkdirSync('${root}');
      beginCounting();
      await pack(${JSON.stringify(upper)}, '${root}');
    `,
      async check(root) {
        if (existsSync(join(root, 'index.erofs'))) assert.ok(existsSync(join(root, 'layer.tar')));
        assert.deepEqual(await pack(upper, root), facts);
        assert.deepEqual(readdirSync(root).sort(), ['index.erofs', 'layer.tar']);
      },
    });
    assert.ok(steps > 6, `${steps} steps`);
  },
);
