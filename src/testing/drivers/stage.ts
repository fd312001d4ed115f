import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { treeChanges, upperChanges } from '../../layer/diff/diff.ts';
import { pack } from '../../layer/pack.ts';
import type { ParentLayer } from '../../layer/unpack-job.ts';
import type { Digest } from '../../oci/digest.ts';
import type { CreateOptions, Driver, LayerFacts, Snapshot } from '../../snapshot/driver.ts';
import { holdShared } from '../../sys/mount.ts';
import { tarOfChanges } from '../edited-stack.ts';
import { within } from '../mounted.ts';
import { tarOf, type Tree } from '../tree.ts';
import { unpackTar } from '../unpack-stack.ts';
import type { DriverSuite, Environment } from './suite.ts';

/** Looks at, or changes, what is mounted on `root`. */
export type Use = (root: string) => unknown;

/** A driver on an empty directory, and what a test does with it. */
export interface Stage {
  readonly driver: Driver;
  readonly environment: Environment;
  /** The directory that the driver was given. */
  readonly layers: string;
  /** The driver's own, of a snapshot that is removed in the end. */
  readonly create: (snapshot: Snapshot, options?: CreateOptions) => Promise<void>;
  readonly remove: (snapshot: Snapshot) => Promise<void>;
  /** Lets `use` what a snapshot shows. */
  readonly show: (snapshot: Snapshot, use: Use) => Promise<void>;
  /** Makes a snapshot on others (nearest first), lets `change` it, and seals it. */
  readonly commit: (id: string, parents: readonly string[], change?: Use) => Promise<void>;
  /** Fills a layer from outside, as a pull does. @param parents - nearest first */
  readonly unpack: (
    id: string,
    layer: Tree | Uint8Array,
    parents?: readonly string[],
  ) => Promise<void>;
  /** Makes a layer of what `change` does on unpacked ones, as an engine commits a container. */
  readonly append: (id: string, parents: readonly string[], change: Use) => Promise<void>;
  /** Lets `look` at a read-only view of snapshots. */
  readonly view: (parents: readonly string[], look: Use) => Promise<void>;
  /**
   * The archive of what was changed in an active snapshot, which stands on unpacked layers; as an
   * engine makes it, and as if it had been changed at one moment.
   */
  readonly diff: (snapshot: Snapshot) => Promise<Buffer>;
}

/** Later than everything in unpacked layers, and before everything that is edited, in seconds. */
export const SOURCE_DATE_EPOCH = 1_700_000_000;

let stages = 0;

/**
 * Runs `body` with a driver on a new directory of the environment, then removes what it made: of
 * which nothing is left.
 */
export async function onStage(
  suite: DriverSuite,
  environment: Environment,
  body: (stage: Stage) => Promise<void>,
): Promise<void> {
  const root = join(environment.path, `stage-${process.pid}-${++stages}`);
  const [layers, work] = [join(root, 'layers'), join(root, 'work')];
  for (const path of [root, layers, work]) mkdirSync(path);
  const recorded = new Map<string, LayerFacts>();
  const options = (await environment.options?.(layers)) ?? [];
  const digestOf = (id: string): Digest | undefined => recorded.get(id)?.indexDigest;
  await using driver = await suite.open(layers, { pack, digestOf, options });
  const made = new Map<string, Snapshot>();
  const stage = stageOf({
    driver,
    environment,
    layers,
    work,
    recorded,
    made,
    layerOf: suite.layerOf,
  });
  try {
    await body(stage);
  } finally {
    await driver.release?.(() => []);
    for (const snapshot of [...made.values()].toReversed()) await driver.remove(snapshot);
    await driver.purge?.();
  }
  assert.deepEqual(leftIn(layers), []);
  assert.deepEqual((await environment.held?.(layers)) ?? [], []);
}

/** What lies in the directory of layers; of the trash, what is in it. */
export const leftIn = (layers: string): string[] =>
  readdirSync(layers).flatMap((name) =>
    name === '.trash' ? readdirSync(join(layers, name)) : [name],
  );

interface Parts extends Pick<Stage, 'driver' | 'environment' | 'layers'> {
  /** An empty directory to mount on. */
  readonly work: string;
  readonly recorded: Map<string, LayerFacts>;
  readonly made: Map<string, Snapshot>;
  readonly layerOf: DriverSuite['layerOf'];
}

function stageOf({ driver, environment, layers, work, recorded, made, layerOf }: Parts): Stage {
  const create: Stage['create'] = async (snapshot, options) => {
    made.set(snapshot.id, snapshot);
    await driver.create(snapshot, options);
  };
  const remove: Stage['remove'] = async (snapshot) => {
    await driver.remove(snapshot);
    made.delete(snapshot.id);
  };
  const show: Stage['show'] = async (snapshot, use) =>
    within(await driver.mounts!(snapshot), work, async (shown) => void (await use(shown)));
  const parentOf = (id: string): ParentLayer => ({
    directory: join(layers, id),
    diffId: recorded.get(id)!.diffId,
    form: driver.form,
  });
  /** Trees that are file systems of their own are held while they are filled or read. */
  const hold = async (
    trees: readonly Snapshot[],
    access: 'ro' | 'rw',
  ): Promise<DisposableStack> => {
    using held = new DisposableStack();
    for (const snapshot of trees) {
      const mount = await driver.tree?.(snapshot, access);
      if (mount !== undefined) held.use(await holdShared(mount));
    }
    return held.move();
  };
  const unpack: Stage['unpack'] = async (id, layer, parents = []) => {
    const plain = layer instanceof Uint8Array ? layer : tarOf(layer);
    const tar = (await layerOf?.(plain)) ?? plain;
    const isDirect = driver.form === 'direct';
    const snapshot = { id, kind: 'committed', parents: isDirect ? parents : [] } as const;
    await create(snapshot);
    using held = await hold([snapshot], 'rw');
    // The archive takes no room where room is counted.
    const blob = join(tmpdir(), `mica-blob-${process.pid}-${id}`);
    const into = { form: driver.form, directory: join(layers, id), blob };
    const alone = isDirect ? undefined : await unpackTar(tar, into);
    const isWhole = alone !== undefined && !alone.dependent;
    const facts = isWhole
      ? alone
      : await unpackTar(tar, { ...into, parents: parents.map(parentOf) });
    recorded.set(id, facts);
    held.dispose();
    await driver.release?.(() => []);
    await driver.filled?.(snapshot);
  };
  const diff: Stage['diff'] = async (snapshot) => {
    const parents = snapshot.parents.map((id) => join(layers, id));
    const below = snapshot.parents.map((id) => ({ id, kind: 'committed', parents: [] }) as const);
    using _ = await hold(below, 'ro');
    const upper = driver.upper?.(snapshot);
    const archive = { sourceDateEpoch: SOURCE_DATE_EPOCH };
    if (upper) return tarOfChanges(await upperChanges(upper, { parents }), archive);
    let tar: Buffer = Buffer.alloc(0);
    await show(snapshot, async (root) => {
      tar = await tarOfChanges(await treeChanges(root, { parents }), archive);
    });
    return tar;
  };
  let views = 0;
  return {
    driver,
    environment,
    layers,
    create,
    remove,
    show,
    async commit(id, parents, change) {
      const active = { id, kind: 'active', parents } as const;
      await create(active);
      if (change) await show(active, change);
      const facts = await driver.seal?.(active);
      if (facts !== undefined) recorded.set(id, facts);
    },
    unpack,
    diff,
    async append(id, parents, change) {
      const active = { id: `active-${id}`, kind: 'active', parents } as const;
      await create(active);
      await show(active, change);
      const tar = await diff(active);
      await remove(active);
      await unpack(id, tar, parents);
    },
    async view(parents, look) {
      const view = { id: `view-${++views}`, kind: 'view', parents } as const;
      await create(view);
      await show(view, look);
      await remove(view);
    },
  };
}
