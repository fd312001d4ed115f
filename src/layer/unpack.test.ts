import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type DiffId, sha256 } from '../oci/digest.ts';
import { needs } from '../testing/need.ts';
import * as t from '../testing/tree.ts';
import { jobOf } from '../testing/unpack-stack.ts';
import { Available } from './available.ts';
import { openUnpacker } from './unpack.ts';
import { SMALL_BLOB, type UnpackJob } from './unpack-job.ts';

const linux = needs('root');
const TAR = t.tarOf(
  t.tree({
    'etc/motd': t.file('hello'),
    'usr/share/noise': t.file(
      Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) >> 5)),
    ),
    'usr/gone': t.whiteout(),
  }),
);
const GZIP = gzipSync(TAR);

/** A job in a directory of its own. */
async function prepare(
  blob: Uint8Array,
  form: UnpackJob['form'] = 'tar',
): Promise<AsyncDisposable & { path: string; job: UnpackJob }> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'unpack-'));
  const directory = join(dir.path, 'layer');
  mkdirSync(directory);
  const job = jobOf(blob, form, directory);
  return { path: directory, job, [Symbol.asyncDispose]: () => dir.remove() };
}

for (const [name, blob] of [
  ['gzip', GZIP],
  ['zstd', zstdCompressSync(TAR)],
  ['no compression', TAR],
] as const)
  test(`a layer with ${name} is verified, kept as its tar, and indexed`, async () => {
    await using unpacker = openUnpacker({ workers: 1 });
    await using work = await prepare(blob);
    const result = await unpacker.unpack(work.job);
    assert.equal(result.diffId, sha256(TAR));
    assert.equal(result.digest, sha256(blob));
    assert.equal(result.tarSize, TAR.length);
    assert.ok(readFileSync(join(work.path, 'layer.tar')).equals(TAR));
    assert.equal(sha256(readFileSync(join(work.path, 'index.erofs'))), result.indexDigest);
    assert.deepEqual(result.stats, {
      entries: 5,
      files: 2,
      directories: 3,
      symlinks: 0,
      others: 0,
      whiteouts: 1,
      opaques: 0,
      bytes: 3_000_005,
    });
  });

test('a layer is refused whose index over its tar would show zeros in place of data', async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  // A piece of 512 bytes makes the whole file one of chunks of 512 bytes, of which an index has 2^20.
  const data = { 512: 'x'.repeat(512), [2 ** 30]: 'y'.repeat(512) };
  const holes = t.tarOf(t.tree({ disk: t.sparse(2 ** 30 + 512, data) }));
  await using work = await prepare(holes, 'tar');
  const refusal = { code: 'RESOURCE_EXHAUSTED', message: /too many pieces .* storage driver/ };
  await assert.rejects(unpacker.unpack(work.job), refusal);
});

test('a layer is unpacked while its blob is still arriving', { skip: linux }, async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  await using work = await prepare(GZIP, 'overlay');
  truncateSync(work.job.blob, 0);
  const available = new Available();
  const progress: number[] = [];
  const done = unpacker.unpack(work.job, {
    available,
    onProgress: (bytes) => progress.push(bytes),
  });
  for (let at = 0; at < GZIP.length; at += 10_000) {
    const piece = GZIP.subarray(at, at + 10_000);
    appendFileSync(work.job.blob, piece);
    available.add(piece.length);
    await new Promise(setImmediate);
  }
  available.end();
  assert.equal((await done).diffId, sha256(TAR));
  assert.equal(progress.at(-1), GZIP.length);
  assert.equal(readFileSync(join(work.path, 'fs/etc/motd'), 'utf8'), 'hello');
});

test('more layers than workers are unpacked one after the other', async () => {
  await using unpacker = openUnpacker({ workers: 2 });
  unpacker.warm([]);
  const layers = Array.from({ length: 7 }, (_, i) =>
    t.tarOf(t.tree({ [`f${i}`]: t.file(String(i)) })),
  );
  const diffIds = await Promise.all(
    layers.map(async (tar) => {
      await using work = await prepare(gzipSync(tar));
      return (await unpacker.unpack(work.job)).diffId;
    }),
  );
  assert.deepEqual(
    diffIds,
    layers.map((tar) => sha256(tar)),
  );
});

const threads = (): number =>
  readdirSync('/proc/self/task').filter(
    (id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8') === 'mica-unpack\n',
  ).length;

test('a worker with nothing to do is ended', { skip: linux }, async () => {
  await using unpacker = openUnpacker({ workers: 2 });
  await using slow = await prepare(GZIP);
  await using quick = await prepare(TAR);
  const available = new Available();
  const unpacking = unpacker.unpack(slow.job, { available });
  // It has its name when it runs.
  while (threads() < 1) await setTimeout(1);
  await unpacker.unpack(quick.job);
  assert.equal(threads(), 2);
  while (threads() > 1) await setTimeout(5);
  await using again = await prepare(GZIP);
  assert.equal((await unpacker.unpack(again.job)).diffId, sha256(TAR));
  available.add(GZIP.length);
  available.end();
  assert.equal((await unpacking).diffId, sha256(TAR));
  while (threads() > 0) await setTimeout(5);
});

test('small layers share the worker of one that waits for its bytes', { skip: linux }, async () => {
  await using unpacker = openUnpacker({ workers: 2 });
  unpacker.warm([TAR.length, 600, 700]);
  await using slow = await prepare(GZIP);
  const available = new Available();
  const unpacking = unpacker.unpack(slow.job, { available });
  const small = Array.from({ length: 3 }, async (_, thread) => {
    for (let i = 0; i < 10; i++) {
      const tar = t.tarOf(t.tree({ [`f${thread}-${i}`]: t.file(String(i)) }));
      await using work = await prepare(gzipSync(tar));
      assert.equal((await unpacker.unpack(work.job)).diffId, sha256(tar));
      assert.ok(readFileSync(join(work.path, 'layer.tar')).equals(tar));
    }
  });
  await Promise.all(small);
  assert.equal(threads(), 1);
  available.add(GZIP.length);
  available.end();
  assert.equal((await unpacking).diffId, sha256(TAR));
  assert.ok(readFileSync(join(slow.path, 'layer.tar')).equals(TAR));
});

test('a layer that takes too much memory ends alone', { skip: linux }, async () => {
  await using unpacker = openUnpacker({ workers: 1, heap: 18 });
  const many = Array.from({ length: 90_000 }, (_, i) => [`f${i}`, t.file()] as const);
  await using greedy = await prepare(zstdCompressSync(t.tarOf(t.tree(many))));
  assert.ok(greedy.job.size <= SMALL_BLOB);
  await using large = await prepare(GZIP);
  await using small = await prepare(gzipSync(t.tarOf(t.tree({ a: t.file() }))));
  const available = new Available();
  const others = [unpacker.unpack(large.job, { available }), unpacker.unpack(small.job)];
  await assert.rejects(unpacker.unpack(greedy.job), { code: 'RESOURCE_EXHAUSTED' });
  available.add(GZIP.length);
  available.end();
  assert.deepEqual(
    (await Promise.all(others)).map(({ stats }) => stats.files),
    [2, 1],
  );
});

test('a worker that was stopped in the middle of a layer has room for the next one', async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  const zeros = t.file(Buffer.alloc(64 << 20));
  const bomb = gzipSync(t.tarOf(t.tree({ a: zeros, b: t.file(randomBytes(500_000)) })));
  for (let round = 0; round < 5; round++) {
    await using work = await prepare(bomb);
    const stop = new AbortController();
    const available = new Available();
    const unpacking = unpacker.unpack(work.job, { available, signal: stop.signal });
    available.add(bomb.length - 1);
    const tar = join(work.path, 'layer.tar');
    while (!(existsSync(tar) && statSync(tar).size > 0)) await setTimeout(1);
    stop.abort();
    await assert.rejects(unpacking, { name: 'AbortError' });
  }
  await using work = await prepare(bomb);
  assert.equal((await unpacker.unpack(work.job)).stats.files, 2);
});

const flipped = Buffer.from(GZIP);
flipped[GZIP.length >> 1]! ^= 1;

/** Bytes that are not what they should be: which error, and what it must name. */
const LIES: readonly [
  title: string,
  blob: Uint8Array,
  claim: (job: UnpackJob) => Partial<UnpackJob>,
  named: RegExp,
][] = [
  [
    'a flipped bit',
    flipped,
    () => ({ digest: sha256(GZIP) }),
    new RegExp(`${sha256(GZIP)}.*${sha256(flipped)}`),
  ],
  [
    'another diffID',
    GZIP,
    () => ({ diffId: sha256('x') as DiffId }),
    new RegExp(`${sha256(TAR)}.*${sha256('x')}`),
  ],
  [
    'fewer bytes than the size',
    GZIP,
    ({ size }) => ({ size: size + 1 }),
    /expected \d+ bytes, got \d+/,
  ],
  [
    'a cut off stream',
    GZIP.subarray(0, GZIP.length - 500),
    () => ({}),
    /gzip|ends|truncated|incomplete/i,
  ],
  ['a cut off archive', gzipSync(TAR.subarray(0, 100_000)), () => ({}), /tar/],
];

for (const [title, blob, claim, named] of LIES)
  test(`${title} is DATA_LOSS and says what differs`, async () => {
    await using unpacker = openUnpacker({ workers: 1 });
    await using work = await prepare(blob);
    const job = { ...work.job, ...claim(work.job) };
    await assert.rejects(unpacker.unpack(job), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'DATA_LOSS', error.message);
      assert.match(error.message, named);
      return true;
    });
    assert.equal(readdirSync(work.path).includes('index.erofs'), false);
  });

test('a blob that goes on after its size is DATA_LOSS', async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  await using work = await prepare(GZIP);
  const available = Available.complete(GZIP.length + 1);
  await assert.rejects(unpacker.unpack(work.job, { available }), { code: 'DATA_LOSS' });
});

test('a malformed layer with the right digest is refused for what it is', async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  await using work = await prepare(gzipSync(t.tarOf(t.tree({ '.wh.': t.file() }))));
  await assert.rejects(unpacker.unpack(work.job), { name: 'MicaError', code: 'INVALID_ARGUMENT' });
});

test('a missing blob is NOT_FOUND, with the errno as its cause', async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  await using work = await prepare(GZIP);
  await assert.rejects(
    unpacker.unpack({ ...work.job, blob: `${work.path}/none` }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'NOT_FOUND');
      assert.equal((error.cause as { code: string }).code, 'ENOENT');
      return true;
    },
  );
});

test('a job waiting for bytes ends with the reason of its abort, and the worker goes on', async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  await using work = await prepare(GZIP);
  const available = new Available();
  available.add(70_000);
  const stop = new AbortController();
  const { signal } = stop;
  const waiting = unpacker.unpack(work.job, { available, signal });
  const queued = unpacker.unpack(work.job, { signal });
  setImmediate(() => stop.abort(new Error('enough')));
  for (const end of await Promise.allSettled([waiting, queued]))
    assert.equal(end.status === 'rejected' && (end.reason as Error).message, 'enough');
  assert.equal((await unpacker.unpack(work.job)).diffId, sha256(TAR));
});

test('what inflates without end is stopped in its middle', async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  const zeros = t.file(Buffer.alloc(200 << 20));
  await using work = await prepare(zstdCompressSync(t.tarOf(t.tree({ zeros }))));
  const stop = new AbortController();
  const unpacking = unpacker.unpack(work.job, { signal: stop.signal });
  const tar = join(work.path, 'layer.tar');
  while (!existsSync(tar)) await new Promise(setImmediate);
  stop.abort(new Error('enough'));
  await assert.rejects(unpacking, { message: 'enough' });
  assert.ok(statSync(tar).size < 200 << 20);
});

test('when the download fails the job is UNAVAILABLE', async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  await using work = await prepare(GZIP);
  const available = new Available();
  const waiting = unpacker.unpack(work.job, { available });
  available.fail();
  await assert.rejects(waiting, { code: 'UNAVAILABLE' });
});

test('closing the unpacker ends its jobs', async () => {
  const unpacker = openUnpacker({ workers: 1 });
  await using work = await prepare(GZIP);
  const jobs = [new Available(), new Available()].map((available) =>
    unpacker.unpack(work.job, { available }),
  );
  const ends = Promise.allSettled(jobs);
  await unpacker[Symbol.asyncDispose]();
  for (const end of await ends) assert.equal(end.status, 'rejected');
  await assert.rejects(unpacker.unpack(work.job), { code: 'FAILED_PRECONDITION' });
  await unpacker[Symbol.asyncDispose]();
});

test('files in the way of a kept tar are replaced', async () => {
  await using unpacker = openUnpacker({ workers: 1 });
  await using work = await prepare(GZIP);
  writeFileSync(join(work.path, 'layer.tar'), 'left over');
  writeFileSync(join(work.path, 'index.erofs'), 'left over');
  await unpacker.unpack(work.job);
  assert.deepEqual(readFileSync(join(work.path, 'layer.tar')), TAR);
});
