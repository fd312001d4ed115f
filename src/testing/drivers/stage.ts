import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pack } from '../../layer/pack.ts';
import type { ParentLayer } from '../../layer/unpack-job.ts';
import type { Digest } from '../../oci/digest.ts';
import type { CreateOptions, Driver, LayerFacts, Snapshot } from '../../snapshot/driver.ts';
import { holdShared } from '../../sys/mount.ts';
import { within } from '../mounted.ts';
import { tarOf, type Tree } from '../tree.ts';
import { unpackTar } from '../unpack-stack.ts';
import type { DriverSuite, Environment } from './suite.ts';

/** A driver on an empty directory, and what a test does with it. */
export interface Stage {
  readonly driver: Driver;
  /** The directory that the driver was given. */
  readonly layers: string;
  /** An empty directory beside it. */
  readonly work: string;
  /** Makes a snapshot on others (nearest first), lets `change` it, and seals it. */
  readonly commit: (
    id: string,
    parents: readonly string[],
    change?: (root: string) => unknown,
    options?: CreateOptions,
  ) => Promise<void>;
  /** Fills a layer from outside, as a pull does. @param parents - nearest first */
  readonly unpack: (id: string, members: Tree, parents?: readonly string[]) => Promise<void>;
  /** Lets `look` at a read-only view of snapshots. */
  readonly view: (parents: readonly string[], look: (root: string) => unknown) => Promise<void>;
  /** Lets `use` a snapshot that was created. */
  readonly show: (snapshot: Snapshot, use: (root: string) => unknown) => Promise<void>;
}

let stages = 0;

/** Runs `body` with a driver on a new directory of the environment, and removes all that it made. */
export async function onStage(
  suite: DriverSuite,
  environment: Environment,
  body: (stage: Stage) => Promise<void>,
): Promise<void> {
  const root = join(environment.path, `stage-${++stages}`);
  const [layers, work] = [join(root, 'layers'), join(root, 'work')];
  for (const path of [root, layers, work]) mkdirSync(path);
  const recorded = new Map<string, LayerFacts>();
  const options = (await environment.options?.(layers)) ?? [];
  const digestOf = (id: string): Digest | undefined => recorded.get(id)?.indexDigest;
  await using undo = new AsyncDisposableStack();
  const driver = undo.use(await suite.open(layers, { pack, digestOf, options }));
  undo.defer(() => driver.purge?.());
  const made = new Map<string, Snapshot>();
  undo.defer(async () => {
    await driver.release?.(() => []);
    for (const snapshot of [...made.values()].toReversed()) await driver.remove(snapshot);
  });
  const create = async (snapshot: Snapshot, wanted?: CreateOptions): Promise<void> => {
    made.set(snapshot.id, snapshot);
    await driver.create(snapshot, wanted);
  };
  const show: Stage['show'] = async (snapshot, use) =>
    within(await driver.mounts!(snapshot), work, async (shown) => void (await use(shown)));
  const parentOf = (id: string): ParentLayer => ({
    directory: join(layers, id),
    diffId: recorded.get(id)!.diffId,
    form: driver.form,
  });
  await body({
    driver,
    layers,
    work,
    show,
    async commit(id, parents, change, wanted) {
      const active = { id, kind: 'active', parents } as const;
      await create(active, wanted);
      if (change) await show(active, change);
      const facts = await driver.seal?.(active);
      if (facts !== undefined) recorded.set(id, facts);
    },
    async unpack(id, members, parents = []) {
      const isDirect = driver.form === 'direct';
      const layer = { id, kind: 'committed', parents: isDirect ? parents : [] } as const;
      await create(layer);
      const tree = await driver.tree?.(layer, 'rw');
      using held = new DisposableStack();
      if (tree !== undefined) held.use(await holdShared(tree));
      const into = { form: driver.form, directory: join(layers, id) };
      const below = parents.map(parentOf);
      const alone = isDirect ? undefined : await unpackTar(tarOf(members), into);
      const isWhole = alone !== undefined && !alone.dependent;
      recorded.set(
        id,
        isWhole ? alone : await unpackTar(tarOf(members), { ...into, parents: below }),
      );
      held.dispose();
      await driver.release?.(() => []);
      await driver.filled?.(layer);
    },
    async view(parents, look) {
      const view = { id: `view-${parents[0] ?? 'none'}`, kind: 'view', parents } as const;
      await create(view);
      await show(view, look);
      await driver.remove(view);
    },
  });
}
