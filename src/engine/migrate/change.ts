import { syncStore } from '../../db/sync.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { changeDriver } from '../../snapshot/migration.ts';
import { restoreMakeable } from '../blobs/restore.ts';
import { makeLayers, type Making } from './make-layers.ts';
import { obstaclesTo } from './obstacles.ts';
import { keepsAlike, losesTars, planSteps, type Step, type Target } from './plan.ts';

export interface ChangeOptions extends Abortable {
  /** How long others may go on using the store, in milliseconds. */
  readonly patience?: number | undefined;
}

/**
 * The change itself: waits until nobody else has the store open for writing, makes what came in the
 * last moment, and lets all snapshots stand on the new layers in one transaction.
 * @returns numbers of the old layers, condemned
 */
export async function change(making: Making, options: ChangeOptions): Promise<number[]> {
  const { store, target, emit } = making;
  const { db, snapshots, layers, choice } = store;
  using _ = await db.alone({
    ...options,
    onWait: (holders) => emit({ type: 'waiting', holders }),
  });
  // Whoever left something half done is dead now.
  await snapshots.recover();
  await layers.recover();
  refuseOwnWork(making);
  const steps = await planSteps(store, target);
  refuse(await obstaclesTo(store, target, steps));
  await makeLayers(making, steps, options);
  if (losesTars(store, target)) await restoreMakeable(store, making.lease, options);
  await syncStore(db);
  options.signal?.throwIfAborted();
  const { driver: from } = choice;
  const condemned = db.transaction(
    () => {
      const places = keepsAlike(store, target) ? undefined : placesOf(steps, target);
      return changeDriver(db, { from, to: target.driver, places });
    },
    { durable: true },
  );
  await from.release?.(() => []);
  return condemned;
}

/** @throws FAILED_PRECONDITION with all of them, if there are any */
export function refuse(obstacles: readonly string[]): void {
  if (obstacles.length > 0) throw new MicaError('FAILED_PRECONDITION', obstacles.join('; '));
}

/** The lock keeps other processes out; other calls of this one have opened the same store. */
function refuseOwnWork({ store: { db, leases }, lease }: Making): void {
  const other = db
    .all<{ id: string; purpose: string }>('select id, purpose from lease')
    .find(({ id, purpose }) => id !== lease.id && purpose !== 'snapshots' && leases.isAlive(id));
  if (other !== undefined)
    throw new MicaError(
      'UNAVAILABLE',
      `${other.purpose} is in progress; try again when it is done`,
    );
}

/** In the transaction. Layers of an earlier attempt become ready, too: the sync was theirs as well. */
function placesOf(steps: readonly Step[], { layers }: Target): Map<number, number> {
  const places = new Map<number, number>();
  for (const { key, snapshots } of steps) {
    const layer = layers.find(key);
    if (layer === undefined)
      throw new MicaError('CONFLICT', `layer ${key} went a moment ago; try again`);
    layers.ready([layer.id]);
    for (const snapshot of snapshots) places.set(snapshot, layer.id);
  }
  return places;
}
