import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../../src/engine/engine.ts';
import type { PullEvent } from '../../src/engine/pull/pull.ts';
import { type ErrorCode, MicaError } from '../../src/errors.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { describeTree } from '../../src/testing/describe.ts';
import type { FaultProxy, FaultRule } from '../../src/testing/fault-proxy.ts';
import type { ImageFixture } from '../../src/testing/image-fixture.ts';
import { packLayer } from '../../src/testing/pack.ts';
import { file, type Tree, tree, whiteout } from '../../src/testing/tree.ts';
import { openUnion } from '../../src/union/union.ts';
import type { Origin } from './origin.ts';
import { mountsBelow } from './store.ts';

/** One pull of an image that nobody has pulled before, and what came of it. */
export interface Attempt extends Pushed {
  readonly engine: Engine;
  readonly proxy: FaultProxy;
  readonly reference: string;
  /** Of all pulls. */
  readonly events: readonly PullEvent[];
  pull(): Promise<unknown>;
}

export type Rules = (image: ImageFixture) => readonly FaultRule[];

/** What does not compress in the second of the three layers, in bytes. */
export const NOISE = 500_000;

/** An image in a registry. */
export interface Pushed {
  readonly name: string;
  readonly image: ImageFixture;
  readonly layers: readonly Tree[];
}

let count = 0;

/** Pushes an image that nobody has pulled before, on top of these layers. */
export async function newImage(origin: Origin, below: readonly Tree[] = []): Promise<Pushed> {
  const name = `faults/image-${++count}`;
  const layers = [
    ...below,
    tree({ 'etc/base': file(`base of ${name}`), 'etc/gone': file('gone') }),
    tree({ 'data/noise': file(randomBytes(NOISE)), 'etc/gone': whiteout() }),
    tree({ 'etc/top': file(`top of ${name}`) }),
  ];
  return { name, layers, image: await origin.image(name, layers) };
}

/** Pushes a new image, and offers it behind a proxy with these faults. */
export async function attempt(
  { origin, engine }: { readonly origin: Promise<Origin>; readonly engine: Promise<Engine> },
  rules: Rules,
  run: (attempt: Attempt) => Promise<void>,
): Promise<void> {
  const [there, here] = [await origin, await engine];
  const pushed = await newImage(there);
  await using proxy = await there.proxy(...rules(pushed.image));
  const reference = `${proxy.host}/${pushed.name}`;
  const events: PullEvent[] = [];
  const onProgress = (event: PullEvent): void => void events.push(event);
  const pull = (): Promise<unknown> => here.pull(reference, { onProgress });
  await run({ ...pushed, engine: here, proxy, reference, events, pull });
}

/** The image is here, and is what was pushed. */
export async function assertWhole({
  engine,
  reference,
  image,
  layers,
}: Pick<Attempt, 'engine' | 'reference' | 'image' | 'layers'>): Promise<void> {
  const stored = await engine.image(reference);
  assert.equal(stored.id, image.config.digest);
  assert.equal(stored.manifestDescriptor.digest, image.descriptor.digest);
  await using pulled = await engine.tree(reference);
  await using meant = openUnion(layers.map(packLayer));
  assert.equal(
    await describeTree(pulled, { root: false }),
    await describeTree(meant, { root: false }),
  );
  await assertClean(engine);
  for (const { digest } of image.layers) assert.equal(partialOf(engine, digest), undefined);
}

/** Nothing of the image is to be seen, and what is left is in order. */
export async function assertNothing({ engine, reference, image }: Attempt): Promise<void> {
  const images = await engine.images();
  assert.ok(images.every(({ id }) => id !== image.config.digest));
  await assert.rejects(engine.image(reference), { code: 'NOT_FOUND' });
  await assertClean(engine);
}

export async function assertClean(engine: Engine): Promise<void> {
  assert.deepEqual((await engine.check()).problems, []);
  assert.deepEqual(mountsBelow(engine.root), []);
  assert.deepEqual(namesIn(engine, 'leases'), []);
}

const namesIn = ({ root }: Engine, directory: string): string[] =>
  readdirSync(join(root, directory));

const sizeOf = (path: string): number | undefined =>
  statSync(path, { throwIfNoEntry: false })?.size;

type Root = Pick<Engine, 'root'>;

/** Bytes of a partial download. */
export const partialOf = ({ root }: Root, digest: Digest): number | undefined =>
  sizeOf(join(root, 'content/ingest', digest.replace(':', '-'), 'data'));

/** Bytes of a complete one. */
export const blobOf = ({ root }: Root, digest: Digest): number | undefined =>
  sizeOf(join(root, 'content/blobs', digest.replace(':', '/')));

export async function assertFails(one: Attempt, code: ErrorCode): Promise<MicaError> {
  const error = await one.pull().then(
    () => assert.fail('the pull succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof MicaError, String(error));
  assert.equal(error.code, code, error.message);
  await assertNothing(one);
  return error;
}

/** Each byte of each layer came once. */
export function assertFetchedOnce({ proxy, image: { layers } }: Attempt): void {
  for (const { digest, size } of layers) assert.equal(proxy.sent(digest), size);
}
