import type { Lease } from '../../db/leases.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { each } from '../../io/each.ts';
import type { ParentLayer, UnpackJob, UnpackResult } from '../../layer/unpack-job.ts';
import type { DiffId } from '../../oci/digest.ts';
import { parseReference } from '../../oci/reference.ts';
import type { LayerRecord } from '../../snapshot/layer-rows.ts';
import type { Context, Store } from '../context.ts';
import { factsOf } from '../pull/bring-layers.ts';
import { pullLayer } from '../pull/pull-layer.ts';
import { Durable } from './durable.ts';
import type { MigrateEvent } from './migration.ts';
import { isMissing, type LayerFile, type Step, type StepSource, type Target } from './plan.ts';

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
      diffId: step.diffId!,
      parents: parents?.map(({ id }) => id),
      lease: making.lease,
      signal,
    });
    if (opened.state !== 'building') return making.durable.add(opened.id);
    try {
      const result = await unpack(making, step, { source, opened, parents, signal });
      layers.built(opened.id, factsOf(result));
      making.durable.add(opened.id);
      if (source.kind === 'registry') making.durable.addBlob(source.target.digest);
      return making.emit({ type: 'made', diffId: step.diffId!, source: source.kind });
    } catch (error) {
      await layers.abandon(opened.id);
      signal.throwIfAborted();
      if (!(error instanceof MicaError) || error.code === 'RESOURCE_EXHAUSTED') throw error;
      failure = error;
    }
  }
  throw failure;
}

interface Unpacking {
  readonly source: StepSource;
  readonly opened: LayerRecord;
  readonly parents: readonly LayerRecord[] | undefined;
  readonly signal: AbortSignal;
}

async function unpack(
  making: Making,
  step: Step,
  { source, opened, parents, signal }: Unpacking,
): Promise<UnpackResult> {
  const { form } = making.target.driver;
  const diffId = step.diffId!;
  const job = { diffId, form, directory: opened.directory, parents: parents?.map(toParent) };
  const result =
    source.kind === 'registry'
      ? await fetchAgain(making, job, source, signal)
      : await fromFile(making, { ...job, ...source.file }, signal);
  if (!result.dependent || parents !== undefined) return result;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `layer ${diffId} depends on the layers below it, and was recorded as one that does not; remove the images that use it and pull them again`,
  );
}

type Known<Job> = Job & { readonly diffId: DiffId };

async function fromFile(
  { context, emit }: Making,
  job: Known<UnpackJob>,
  signal: AbortSignal,
): Promise<UnpackResult> {
  const { diffId, size: total } = job;
  return (await context.unpacker()).unpack(job, {
    signal,
    onProgress: (done) => emit({ type: 'bytes', diffId, done, total }),
  });
}

/** The blob is in the store afterwards, as after a pull. */
async function fetchAgain(
  { context, store, emit }: Making,
  job: Known<Omit<UnpackJob, keyof LayerFile>>,
  { target, repository }: Extract<StepSource, { kind: 'registry' }>,
  signal: AbortSignal,
): Promise<UnpackResult> {
  return pullLayer({
    content: store.content,
    source: (await context.registry()).repository(parseReference(repository)),
    unpacker: await context.unpacker(),
    target,
    job,
    signal,
    emit: (event) => {
      if (event.type === 'bytes' || event.type === 'extracting')
        emit({ type: 'bytes', diffId: job.diffId, done: event.bytes, total: target.size });
    },
    onFetched: () => {},
  });
}

const toParent = ({ directory, form, facts }: LayerRecord): ParentLayer => ({
  directory,
  form,
  diffId: facts!.diffId,
});

function present(layer: LayerRecord | undefined, key: string): LayerRecord {
  if (layer !== undefined) return layer;
  throw new MicaError('NOT_FOUND', `layer ${key} is not in the store (any more); try again`);
}
