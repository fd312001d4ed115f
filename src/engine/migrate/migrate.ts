import { join } from 'node:path';
import type { Lease } from '../../db/leases.ts';
import { isCode, MicaError } from '../../errors.ts';
import type { Digest } from '../../oci/digest.ts';
import { driverFor, rememberedDriver } from '../../snapshot/drivers/index.ts';
import { LayerRows } from '../../snapshot/layer-rows.ts';
import { LayerStore } from '../../snapshot/layers.ts';
import { abandonMigration, beginMigration } from '../../snapshot/migration.ts';
import { tryLock } from '../../sys/alive.ts';
import { freeSpace } from '../../sys/features.ts';
import type { Context, Store } from '../context.ts';
import { makeableBytes, restoreMakeable } from '../blobs/restore.ts';
import { LayerSizes } from '../space/layers.ts';
import { change, refuse } from './change.ts';
import { makeLayers, type Making } from './make-layers.ts';
import type { MigrateOptions, Migration } from './migration.ts';
import { obstaclesTo } from './obstacles.ts';
import {
  bytesOf,
  isMissing,
  losesTars,
  planSteps,
  type Step,
  type StepSource,
  type Target,
} from './plan.ts';
import { lack } from './room.ts';

/**
 * Gives the store another driver. Layers are made in its form beside the old ones, while others go
 * on using the store; only the change itself, one transaction, needs it alone. What was made is
 * kept when this ends early, and found by the next attempt.
 * @see Engine.migrate
 */
export async function migrate(context: Context, options: MigrateOptions): Promise<Migration> {
  const { root, driverOptions } = context.config;
  if (rememberedDriver(await context.reading()) === undefined)
    throw new MicaError('NOT_FOUND', `there is no store at ${root}; the first pull makes one`);
  const store = await context.store({ asItIs: true });
  try {
    await using driver = await driverFor(store.db, options.driver, driverOptions);
    const target = { driver, layers: new LayerStore(store.db, store.leases, driver) };
    if (options.dryRun) return await report(store, target, await planSteps(store, target));
    using _ = onlyOne(root);
    return driver.name === store.choice.driver.name
      ? await giveUp(store, target)
      : await run(context, store, target, options);
  } finally {
    await context.renew();
  }
}

function onlyOne(root: string): Disposable {
  const lock = tryLock(join(root, 'migrate.lock'));
  if (lock !== undefined) return lock;
  throw new MicaError(
    'UNAVAILABLE',
    `another process is changing the driver of the store ${root}; try again when it has ended`,
  );
}

async function report(store: Store, target: Target, steps: readonly Step[]): Promise<Migration> {
  const isSame = target.driver.name === store.choice.driver.name;
  const obstacles = isSame ? [] : await obstaclesTo(store, target, steps);
  return { ...(await outcome(store, target, steps)), obstacles };
}

const outcome = async (
  store: Store,
  target: Target,
  steps: readonly Step[],
): Promise<Migration> => ({
  from: store.choice.driver.name,
  to: target.driver.name,
  layers: steps.map((step) => ({
    key: step.key,
    source: step.state,
    bytes: isMissing(step) ? step.size : 0,
  })),
  bytes: await neededBy(store, target, steps),
  free: freeSpace(store.db.root).bytes,
  freed: 0,
  obstacles: [],
});

/** Estimate of what is still to be written, in bytes: layers, and blobs that only the tars stand for. */
const neededBy = async (store: Store, target: Target, steps: readonly Step[]): Promise<number> =>
  bytesOf(steps) + (losesTars(store, target) ? await makeableBytes(store) : 0);

/** The store keeps its driver: what an unfinished migration has made goes. */
async function giveUp(store: Store, target: Target): Promise<Migration> {
  const { db } = store;
  const result = await outcome(store, target, await planSteps(store, target));
  const condemned = db.transaction(() => abandonMigration(db), { durable: true });
  const freed = await sizeOf(store, condemned);
  await discard(store, condemned);
  return { ...result, freed };
}

async function sizeOf({ db }: Store, ids: readonly number[]): Promise<number> {
  await using sizes = new LayerSizes(db);
  const rows = new LayerRows(db);
  let total = 0;
  for (const id of ids) total += await sizes.of(rows.get(id)!);
  return total;
}

async function run(
  context: Context,
  store: Store,
  target: Target,
  options: MigrateOptions,
): Promise<Migration> {
  const { signal, onProgress: emit = () => {} } = options;
  const { db, leases } = store;
  const steps = await planSteps(store, target);
  const result = await outcome(store, target, steps);
  refuse(await obstaclesTo(store, target, steps));
  emit({ type: 'planned', layers: steps.filter(isMissing).length, bytes: result.bytes });
  using lease = leases.open(`migrate to ${target.driver.name}`);
  const making: Making = { context, store, target, lease, emit };
  try {
    await discard(
      store,
      db.transaction(() => beginMigration(db, target.driver), { durable: true }),
    );
    await makeAll(making, steps, options);
    if (losesTars(store, target)) await restoreMakeable(store, lease, options);
    const removed = await change(making, options);
    emit({ type: 'changed', removing: removed.length });
    await discard(store, removed);
    return result;
  } catch (error) {
    signal?.throwIfAborted();
    throw await explained(error, store, target);
  }
}

/** Until nothing is missing any more: others may pull meanwhile. */
async function makeAll(
  making: Making,
  first: readonly Step[],
  { signal }: MigrateOptions,
): Promise<void> {
  const { store, target, lease } = making;
  for (let steps = first; steps.some(isMissing); steps = await planSteps(store, target)) {
    hold(lease, steps);
    await makeLayers(making, steps, { signal });
  }
}

/** What is made and what it is made from, whatever images go meanwhile. */
function hold(lease: Lease, steps: readonly Step[]): void {
  lease.hold(
    'layer',
    steps.map(({ key }) => key),
  );
  lease.hold(
    'blob',
    steps.flatMap(({ sources }) => sources.flatMap(digestOf)),
  );
}

function digestOf(source: StepSource): Digest[] {
  if (source.kind === 'files') return [];
  return [source.kind === 'registry' ? source.target.digest : source.file.digest];
}

/** Removes what is condemned, as far as it can be reached. The next open goes on. */
async function discard({ layers }: Store, ids: readonly number[]): Promise<void> {
  for (const id of ids) await layers.delete(id, { isPatient: true });
  await layers.purge();
}

/** On a full disk: how much is lacking. */
async function explained(error: unknown, store: Store, target: Target): Promise<unknown> {
  if (!(error instanceof MicaError)) return error;
  const from = store.choice.driver.name;
  const hint = isCode(error, 'RESOURCE_EXHAUSTED')
    ? lack(
        await neededBy(store, target, await planSteps(store, target)),
        freeSpace(store.db.root).bytes,
        from,
      )
    : '';
  const message = `migrate to ${target.driver.name}: ${error.message}${hint}`;
  return new MicaError(error.code, message, { cause: error });
}
