import type { Source } from '../../content/content.ts';
import { MicaError } from '../../errors.ts';
import type { Lease } from '../../db/leases.ts';
import { recordProof } from '../../db/proven-layers.ts';
import type { Image } from '../../image/image.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { each } from '../../io/each.ts';
import type { UnpackJob, UnpackResult } from '../../layer/unpack-job.ts';
import type { Unpacker } from '../../layer/unpack.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type ChainId, chainIds, type DiffId } from '../../oci/digest.ts';
import { isOfChain, type LayerFacts } from '../../snapshot/driver.ts';
import {
  layerDirectory,
  type LayerRecord,
  LayerRows,
  toRecord,
} from '../../snapshot/layer-rows.ts';
import type { OpenedLayer } from '../../snapshot/layers.ts';
import type { Store } from '../context.ts';
import type { PullEvent } from '../pull/pull.ts';
import { bringLayer } from './bring-layer.ts';
import { proveLayer } from './prove-layer.ts';

export interface Bringing {
  readonly store: Store;
  readonly lease: Lease;
  /** Has the blobs of the layers that are not in the store. */
  readonly source: Source;
  readonly image: Image;
  readonly emit: (event: PullEvent) => void;
  /** Started when the first layer has to be unpacked. */
  readonly unpacker: () => Promise<Unpacker>;
  /** Blobs fetched at once. */
  readonly limit: number;
}

interface Progress extends Abortable {
  readonly onFetched: (bytes: number) => void;
}

interface WantedLayer {
  readonly at: number;
  readonly target: Descriptor;
  readonly diffId: DiffId;
  readonly chainId: ChainId;
}

/**
 * Brings all layers of an image into the store, unpacked: in parallel, each while it downloads.
 * Those whose tree depends on the layers below follow in order, when these are there. Of a layer that
 * was here already, the blob is seen to be one of it, too.
 * @returns numbers of the unpacked layers, base first
 */
export async function bringLayers(bringing: Bringing, progress: Progress): Promise<number[]> {
  const { image, store, limit, emit } = bringing;
  const chain = chainIds(image.config.rootfs.diff_ids);
  const wanted = image.layers.map(
    ({ descriptor, diffId }, at): WantedLayer => ({
      at,
      target: descriptor,
      diffId,
      chainId: chain[at]!,
    }),
  );
  const ids = new Map<DiffId, number>();
  const once = Map.groupBy(wanted, ({ target, diffId }) => `${target.digest} ${diffId}`);
  await each(
    [...once.values()].map(([first]) => first!),
    limit,
    async (layer, signal) => {
      const id = await bringIndependent(bringing, layer, { ...progress, signal });
      if (id !== undefined) ids.set(layer.diffId, id);
    },
    progress.signal,
  );
  const done: number[] = [];
  for (const layer of wanted) {
    const known = ids.get(layer.diffId);
    // The base may be a layer that depends on parents; higher up it is another tree.
    const usable =
      known !== undefined && (layer.at === 0 || !layerOf(store, known).facts?.dependent);
    done.push(usable ? known : await bringDependent(bringing, layer, done, progress));
  }
  await each(
    [...once.values()].map(([first]) => first!),
    limit,
    (layer, signal) =>
      proveLayer(store, layer, {
        signal,
        onProgress: (bytes) => emit({ type: 'extracting', target: layer.target, bytes }),
      }),
    progress.signal,
  );
  return done;
}

/**
 * @returns `undefined` when the layer has to be unpacked on its parents; its blob is in the store then
 */
async function bringIndependent(
  bringing: Bringing,
  layer: WantedLayer,
  progress: Progress,
): Promise<number | undefined> {
  const { store, lease, emit } = bringing;
  const { target, diffId, at } = layer;
  const later = isOfChain(store.choice.driver.form) || (at > 0 && store.layers.isDependent(diffId));
  if (later) {
    await bringBlob(bringing, target, progress);
    return undefined;
  }
  const opened = await store.layers.open(diffId, {
    diffId,
    lease,
    signal: progress.signal,
    onWait: () => emit({ type: 'waiting', target }),
  });
  if (opened.state === 'building')
    return await build(bringing, { layer, opened, parents: at === 0 ? [] : undefined }, progress);
  // Dropped on purpose is as good as there: the layer is what this pull needs.
  const isHere = store.content.isDropped(target.digest) || (await store.content.has(target));
  if (isHere) emit({ type: 'exists', target });
  else await bringBlob(bringing, target, progress);
  return opened.facts?.dependent && at > 0 ? undefined : opened.id;
}

/** @param below numbers of the layers below, base first */
async function bringDependent(
  bringing: Bringing,
  layer: WantedLayer,
  below: readonly number[],
  progress: Progress,
): Promise<number> {
  const { store, lease, emit } = bringing;
  const { diffId, chainId, target } = layer;
  const nearestFirst = below.toReversed();
  const opened = await store.layers.open(chainId, {
    diffId,
    parents: nearestFirst,
    lease,
    signal: progress.signal,
    onWait: () => emit({ type: 'waiting', target }),
  });
  if (opened.state !== 'building') return opened.id;
  const records = nearestFirst.map((id) => layerOf(store, id));
  const parents = records.map(({ directory, form, facts }) => ({
    directory,
    form,
    diffId: facts!.diffId,
  }));
  return (await build(bringing, { layer, opened, parents }, progress))!;
}

interface Building {
  readonly layer: WantedLayer;
  readonly opened: OpenedLayer;
  readonly parents: UnpackJob['parents'];
}

async function build(
  { store, source, emit, unpacker }: Bringing,
  { layer, opened, parents }: Building,
  { signal, onFetched }: Progress,
): Promise<number | undefined> {
  const { target, diffId } = layer;
  let kept = false;
  try {
    const result = await bringLayer({
      content: store.content,
      source,
      unpacker: await unpacker(),
      target,
      job: { diffId, form: store.choice.driver.form, directory: opened.directory, parents },
      signal: signal ?? new AbortController().signal,
      emit,
      onFetched,
    });
    recordProof(store.db, target.digest, diffId);
    if (result.dependent && parents === undefined) return undefined;
    await store.layers.built(opened.id, factsOf(result));
    kept = true;
    emit({ type: 'complete', target });
    return opened.id;
  } finally {
    if (!kept) await store.layers.abandon(opened.id);
  }
}

function layerOf({ db }: Store, id: number): LayerRecord {
  const row = new LayerRows(db).get(id);
  if (row !== undefined) return toRecord(row, layerDirectory(db, id));
  throw new MicaError('NOT_FOUND', `layer ${id} is not in the store (any more); try again`);
}

export const factsOf = ({
  diffId,
  dependent,
  tarSize,
  indexSize,
  indexDigest,
  stats,
}: UnpackResult): LayerFacts => ({
  diffId,
  dependent,
  tarSize,
  indexSize,
  indexDigest,
  stats: { ...stats },
});

/** The blob alone, verified as it comes. */
async function bringBlob(
  { store, source, emit }: Bringing,
  target: Descriptor,
  { signal, onFetched }: Progress,
): Promise<void> {
  if (store.content.isDropped(target.digest) || (await store.content.has(target))) return;
  await store.content.push(target, (offset) => counted(offset), { signal });
  emit({ type: 'downloaded', target });

  async function* counted(offset: number): Bytes {
    let bytes = offset;
    emit({ type: 'bytes', target, bytes, resumed: offset, shared: false });
    for await (const chunk of source.fetch(target, { offset, signal })) {
      bytes += chunk.byteLength;
      onFetched(chunk.byteLength);
      emit({ type: 'bytes', target, bytes, resumed: offset, shared: false });
      yield chunk;
    }
  }
}
