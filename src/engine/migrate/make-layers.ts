import type { Lease } from '../../db/leases.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { each } from '../../io/each.ts';
import type { LayerRecord } from '../../snapshot/layer-rows.ts';
import { fromNode } from '../../sys/errno.ts';
import type { Context, Store } from '../context.ts';
import { Durable } from './durable.ts';
import type { MigrateEvent } from './migration.ts';
import { fill } from './fill-layer.ts';
import { isMissing, type Step, type Target } from './plan.ts';

export interface Making {
  readonly context: Context;
  readonly store: Store;
  readonly target: Target;
  readonly lease: Lease;
  readonly emit: (event: MigrateEvent) => void;
}

/** Layers at once: the unpacker has a thread a processor, but some wait for the network or the layer below. */
const AT_ONCE = 6;

/**
 * Makes what is missing, in the new driver's form. Nothing stands on it yet; what is finished is
 * found by a second attempt.
 */
export async function makeLayers(
  making: Making,
  steps: readonly Step[],
  { signal }: Abortable,
): Promise<void> {
  const { db, content } = making.store;
  const durable = new Durable({ db, content, layers: making.target.layers });
  const working = new Map<Step, Promise<void>>();
  await each(
    steps.filter(isMissing),
    AT_ONCE,
    async (step, either) => {
      const work = (async () => {
        // They are further up in the list, so their work has begun.
        for (const parent of step.parents ?? []) await working.get(parent);
        await makeLayer({ ...making, durable }, step, either);
      })();
      working.set(step, work);
      await work;
      await durable.keepUp();
    },
    signal,
  );
  await durable.sync();
}

type Working = Making & { readonly durable: Durable };

/** From the first of its sources that has what the layer must be. */
async function makeLayer(making: Working, step: Step, signal: AbortSignal): Promise<void> {
  const { layers } = making.target;
  let failure: unknown = new MicaError(
    'FAILED_PRECONDITION',
    `layer ${step.key} has become one that can be made from nothing; try again`,
  );
  for (const source of step.sources) {
    const parents = step.parents?.map(({ key }) => present(layers.find(key), key));
    const opened = await layers.open(step.key, {
      diffId: step.diffId,
      parents: parents?.map(({ id }) => id),
      lease: making.lease,
      signal,
    });
    if (opened.state !== 'building') return making.durable.add(opened.id);
    try {
      const facts = await fill({ ...making, signal }, step, { source, opened, parents });
      await layers.built(opened.id, facts);
      making.durable.add(opened.id);
      if (source.kind === 'registry') making.durable.addBlob(source.target.digest);
      return making.emit({ type: 'made', key: step.key, source: source.kind });
    } catch (thrown) {
      await layers.abandon(opened.id);
      signal.throwIfAborted();
      const error = fromNode(thrown);
      if (!(error instanceof MicaError) || error.code === 'RESOURCE_EXHAUSTED') throw error;
      failure = error;
    }
  }
  throw failure;
}

function present(layer: LayerRecord | undefined, key: string): LayerRecord {
  if (layer !== undefined) return layer;
  throw new MicaError('NOT_FOUND', `layer ${key} is not in the store (any more); try again`);
}
