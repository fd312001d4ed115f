import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { MicaError } from '../../errors.ts';
import { treeChanges, upperChanges } from '../../layer/diff/diff.ts';
import { FILES_DIRECTORY, TAR_FILE } from '../../layer/index-output.ts';
import { checkedIndependent, packChanges } from '../../layer/pack.ts';
import type { ParentLayer, UnpackJob, UnpackResult } from '../../layer/unpack-job.ts';
import { OCI_LAYER } from '../../oci/media-type.ts';
import { parseReference } from '../../oci/reference.ts';
import type { LayerFacts } from '../../snapshot/driver.ts';
import { layerTar } from '../../windows/layer-tar.ts';
import type { LayerRecord } from '../../snapshot/layer-rows.ts';
import { holdLayers } from '../../snapshot/trees.ts';
import { factsOf } from '../publish/bring-layers.ts';
import { bringLayer } from '../publish/bring-layer.ts';
import type { Making } from './make-layers.ts';
import type { LayerFile, Step, StepSource } from './plan.ts';

export type Filling = Making & { readonly signal: AbortSignal };

export interface Place {
  readonly source: StepSource;
  /** The new layer: its directory is to be filled. */
  readonly opened: LayerRecord;
  /** Of the new driver, nearest first; `undefined`: the tree is the same on all. */
  readonly parents: readonly LayerRecord[] | undefined;
}

/** Makes a layer's files in the form of the new driver. */
export async function fill(filling: Filling, step: Step, place: Place): Promise<LayerFacts> {
  const { source, parents } = place;
  if (source.kind === 'files' && step.old.form !== 'windows')
    return fromFiles(filling, step, place);
  const job = jobOf(filling, step, place);
  const result =
    source.kind === 'files'
      ? await fromTransport(filling, step, job)
      : source.kind === 'registry'
        ? await fetchAgain(filling, step, job, source)
        : await fromFile(filling, step, { ...job, ...source.file });
  if (!result.dependent || parents !== undefined) return factsOf(result);
  throw new MicaError(
    'FAILED_PRECONDITION',
    `layer ${step.key} depends on the layers below it, and was recorded as one that does not; remove the images that use it and pull them again`,
  );
}

type Job = Omit<UnpackJob, keyof LayerFile>;

const jobOf = (
  { target }: Filling,
  { diffId }: Step,
  { opened: { directory }, parents }: Place,
): Job => ({ diffId, form: target.driver.form, directory, parents: parents?.map(toParent) });

const toParent = ({ directory, form, facts }: LayerRecord): ParentLayer => ({
  directory,
  form,
  diffId: facts!.diffId,
});

async function fromFile(
  { context, emit, signal }: Filling,
  { key }: Step,
  job: UnpackJob,
): Promise<UnpackResult> {
  return (await context.unpacker()).unpack(job, {
    signal,
    onProgress: (done) => emit({ type: 'bytes', key, done, total: job.size }),
  });
}

/** The blob is in the store afterwards, as after a pull. */
async function fetchAgain(
  { context, store, emit, signal }: Filling,
  { key }: Step,
  job: Job,
  { target, repository }: Extract<StepSource, { kind: 'registry' }>,
): Promise<UnpackResult> {
  return bringLayer({
    content: store.content,
    source: (await context.registry()).repository(parseReference(repository)),
    unpacker: await context.unpacker(),
    target,
    job,
    signal,
    emit: (event) => {
      if (event.type === 'bytes' || event.type === 'extracting')
        emit({ type: 'bytes', key, done: event.bytes, total: target.size });
    },
    onFetched: () => {},
  });
}

/** Makes the archive of a Windows layer again, and unpacks that. */
async function fromTransport(filling: Filling, step: Step, job: Job): Promise<UnpackResult> {
  const { signal } = filling;
  const { directory, facts } = step.old;
  const blob = join(job.directory, 'packed.tar');
  await pipeline(layerTar(directory, { signal }), createWriteStream(blob), { signal });
  const { diffId: digest, tarSize: size } = facts!;
  const result = await fromFile(filling, step, {
    ...job,
    blob,
    size,
    digest,
    mediaType: OCI_LAYER,
  });
  await rm(blob);
  return result;
}

/** Packs what was committed here without an archive, and unpacks that where the tar is not all. */
async function fromFiles(filling: Filling, step: Step, place: Place): Promise<LayerFacts> {
  const { target, signal } = filling;
  const { directory } = place.opened;
  const isAll = target.driver.form === 'tar';
  const packed = isAll ? directory : join(directory, 'packed');
  const [below] = place.parents ?? [];
  await using _ = await holdLayers(filling.store.db, [step.old.id, ...(below ? [below.id] : [])]);
  await mkdir(packed, { recursive: true });
  const changes = await changesOf(filling, step, place);
  const facts = checkedIndependent(await packChanges(changes, packed, { signal }));
  if (step.diffId !== undefined && facts.diffId !== step.diffId)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `layer ${step.key} (${step.old.directory}) was committed as ${step.diffId} and packs as ${facts.diffId}; remove what stands on it`,
    );
  if (isAll) return facts;
  const { diffId, tarSize: size } = facts;
  const file = { blob: join(packed, TAR_FILE), size, digest: diffId, mediaType: OCI_LAYER };
  const job = { ...jobOf(filling, step, place), ...file, diffId };
  const result = await fromFile(filling, step, job);
  await rm(packed, { recursive: true });
  return factsOf(result);
}

/** By the new layers below, which have an index whatever they were made from. */
function changesOf(
  { store, target, signal }: Filling,
  { old }: Step,
  { parents = [] }: Place,
): ReturnType<typeof treeChanges> {
  const committed = { id: String(old.id), kind: 'committed', parents: [] } as const;
  const upper = store.choice.driver.upper?.(committed);
  const below = { parents: parents.map(({ directory }) => directory), signal };
  if (upper !== undefined) return upperChanges(upper, below);
  const [nearest] = target.driver.form === 'direct' ? below.parents : [];
  return treeChanges(join(old.directory, FILES_DIRECTORY), {
    ...below,
    below: nearest && join(nearest, FILES_DIRECTORY),
  });
}
