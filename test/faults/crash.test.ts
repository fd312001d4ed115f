import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEngine } from '../../src/engine/open.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Fault } from '../../src/testing/fault-proxy.ts';
import { isMet } from '../../src/testing/need.ts';
import {
  assertWhole,
  blobOf,
  newImage,
  NOISE,
  partialOf,
  type Pushed,
} from '../support/attempt.ts';
import { type Exit, spawnPull } from '../support/child.ts';
import { openOrigin } from '../support/origin.ts';

/** Processes that die: what they had fetched is kept, what they had begun is undone, nothing blocks. */
const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

const driver = isMet('overlay') ? 'overlay2' : 'tar';

/** Tells when `bytes` bytes of the answer were sent, and sends no more. */
const reach = (bytes: number, tell: () => void): Fault => ({
  name: 'reach',
  async *body(body, { signal }) {
    let left = bytes;
    for await (const chunk of body) {
      const piece = chunk.subarray(0, left);
      left -= piece.byteLength;
      if (piece.byteLength > 0) yield piece;
      if (left === 0) break;
    }
    tell();
    await sleep(60_000, undefined, { signal, ref: false });
  },
});

interface Crash {
  readonly signal: NodeJS.Signals;
  /** Which answer is not finished: that of the manifest, the config or the large layer. */
  readonly during: 'manifests' | 'config' | 'layer';
  /** Of that answer, in bytes. */
  readonly bytes: number;
  /** Time that the process has to do something with them, in milliseconds. */
  readonly later: number;
  /** They are in the store by then. */
  readonly isWritten?: boolean;
}

/** Starts a pull, and sends the signal when the proxy has come so far. */
async function crash(root: string, image: Pushed, point: Crash): Promise<Exit> {
  const reached = Promise.withResolvers<void>();
  const { config, layers } = image.image;
  const paths = { manifests: '/manifests/', config: config.digest, layer: layers[1]!.digest };
  await using proxy = await (
    await origin
  ).proxy({
    method: 'GET',
    path: new RegExp(paths[point.during]),
    fault: reach(point.bytes, reached.resolve),
  });
  const { child, exit } = spawnPull(root, driver, `${proxy.host}/${image.name}`);
  const early = exit.then(({ output }) => assert.fail(`it ended early: ${output}`));
  await Promise.race([reached.promise, early]);
  if (point.isWritten === true) await written(root, paths.layer, point.bytes);
  await sleep(point.later);
  child.kill(point.signal);
  return exit;
}

/** What was sent is on its way until the other process has had its turn. */
async function written(root: string, digest: Digest, bytes: number): Promise<void> {
  while (partialOf({ root }, digest) !== bytes) await sleep(5);
}

/** The second pull: takes what is here, fetches the rest, leaves nothing of the first. */
async function assertRecovers(root: string, image: Pushed): Promise<void> {
  const { layers } = image.image;
  const have = layers.map(({ digest }) => here(root, digest));
  await using proxy = await (await origin).proxy();
  await using engine = await openEngine({ root, driver });
  assert.deepEqual(await engine.images(), []);
  const reference = `${proxy.host}/${image.name}`;
  await engine.pull(reference);
  await assertWhole({ ...image, engine, reference });
  assert.deepEqual(
    layers.map(({ digest }) => proxy.sent(digest)),
    layers.map(({ size }, at) => size - have[at]!),
  );
  assert.deepEqual(readdirSync(join(root, 'content/ingest')), []);
}

/** Bytes of a blob that a store has, complete or not. */
const here = (root: string, digest: Digest): number =>
  blobOf({ root }, digest) ?? partialOf({ root }, digest) ?? 0;

const KILLED: Readonly<Record<string, Omit<Crash, 'signal'>>> = {
  'while the manifest comes': { during: 'manifests', bytes: 10, later: 0 },
  'while the config comes': { during: 'config', bytes: 10, later: 0 },
  'before the first byte of a layer': { during: 'layer', bytes: 0, later: 0 },
  'after the first byte of a layer': { during: 'layer', bytes: 1, later: 0 },
  'in the middle of a layer, at once': { during: 'layer', bytes: NOISE / 2, later: 0 },
  'in the middle of a layer, a moment later': { during: 'layer', bytes: NOISE / 2, later: 150 },
  'before the last byte of a layer': { during: 'layer', bytes: NOISE, later: 60 },
};

describe('after a pull was killed, the next one succeeds and fetches the rest only:', () => {
  for (const [name, point] of Object.entries(KILLED))
    test(name, async () => {
      await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-crash-'));
      const root = join(directory.path, 'store');
      const image = await newImage(await origin);
      const { signal } = await crash(root, image, { ...point, signal: 'SIGKILL' });
      assert.equal(signal, 'SIGKILL');
      await assertRecovers(root, image);
    });

  // The last bytes are there: what follows is unpacking, renaming, syncing and writing rows.
  for (const later of [0, 6, 15, 40])
    test(`${later} ms after the last byte`, async () => {
      await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-crash-'));
      const root = join(directory.path, 'store');
      const image = await newImage(await origin);
      const size = image.image.layers[1]!.size;
      await using proxy = await (await origin).proxy();
      const { child, exit } = spawnPull(root, driver, `${proxy.host}/${image.name}`);
      while (proxy.sent(image.image.layers[1]!.digest) < size) await sleep(1);
      await sleep(later);
      child.kill('SIGKILL');
      const { code } = await exit;
      // It may have been quicker.
      if (code === null && (await isEmpty(root))) await assertRecovers(root, image);
      else await assertThere(root, image, `${proxy.host}/${image.name}`);
    });
});

async function isEmpty(root: string): Promise<boolean> {
  await using engine = await openEngine({ root, driver });
  return (await engine.images()).length === 0;
}

async function assertThere(root: string, image: Pushed, reference: string): Promise<void> {
  await using engine = await openEngine({ root, driver });
  await assertWhole({ ...image, engine, reference });
}

test('a pull that is interrupted exits with 130, and keeps what it has fetched', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-crash-'));
  const root = join(directory.path, 'store');
  const image = await newImage(await origin);
  const bytes = NOISE / 2;
  const point = { signal: 'SIGINT', during: 'layer', bytes, later: 0, isWritten: true } as const;
  const { code, output } = await crash(root, image, point);
  assert.equal(code, 130, output);
  assert.equal(partialOf({ root }, image.image.layers[1]!.digest), bytes);
  assert.deepEqual(readdirSync(join(root, 'leases')), []);
  await assertRecovers(root, image);
});

test('a pull that waits for another goes on with its bytes when that one is killed', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-crash-'));
  const root = join(directory.path, 'store');
  const image = await newImage(await origin);
  const [, { digest, size }] = image.image.layers as [unknown, { digest: Digest; size: number }];
  const bytes = NOISE / 2;
  const reached = Promise.withResolvers<void>();
  const path = new RegExp(digest);
  await using proxy = await (
    await origin
  ).proxy({ method: 'GET', path, nth: 1, fault: reach(bytes, reached.resolve) });
  const reference = `${proxy.host}/${image.name}`;
  const first = spawnPull(root, driver, reference);
  await reached.promise;
  await using engine = await openEngine({ root, driver });
  const waiting = Promise.withResolvers<void>();
  const second = engine.pull(reference, {
    onProgress: (event) => {
      if (event.type === 'waiting' || (event.type === 'bytes' && event.shared)) waiting.resolve();
    },
  });
  await waiting.promise;
  await written(root, digest, bytes);
  first.child.kill('SIGKILL');
  await first.exit;
  await second;
  await assertThere(root, image, reference);
  assert.equal(proxy.sent(digest), size);
});

test('many processes that pull overlapping images fetch each layer once', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-crash-'));
  const root = join(directory.path, 'store');
  const there = await origin;
  const one = await newImage(there);
  const two = await newImage(there, [one.layers[1]!, one.layers[0]!]);
  const three = await newImage(there, [two.layers[2]!, one.layers[1]!]);
  await using proxy = await there.proxy();
  const names = [one, two, three, one, two, three].map(({ name }) => `${proxy.host}/${name}`);
  const exits = await Promise.all(names.map((name) => spawnPull(root, driver, name).exit));
  for (const { code, output } of exits) assert.equal(code, 0, output);
  await using engine = await openEngine({ root, driver });
  for (const image of [one, two, three])
    await assertWhole({ ...image, engine, reference: `${proxy.host}/${image.name}` });
  const layers = [one, two, three].flatMap(({ image }) => image.layers);
  for (const { digest, size } of layers) assert.equal(proxy.sent(digest), size);
});
