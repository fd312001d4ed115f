import { RecipeRows } from '../../content/recipe/recipe-rows.ts';
import { RecipeThread } from '../../content/recipe/recipe-thread.ts';
import { findLayerTar } from '../../db/layer-tar.ts';
import { MicaError } from '../../errors.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Store } from '../context.ts';
import type { SettleEvent, SettleOptions, Settled } from './settle.ts';
import { drop } from './drop.ts';
import { keepsTar, type LayerBlob, layerBlobs } from './layer-blobs.ts';

/** Layers whose blob and tar are there, and for which no search of this version has ended. Small ones first. */
export function unproven({ db, content }: Store): LayerBlob[] {
  const settled = new RecipeRows(db).settled();
  return layerBlobs(db)
    .filter((blob) => keepsTar(blob) && !blob.isPushed && !settled.has(blob.target.digest))
    .filter(({ target }) => !content.isDropped(target.digest))
    .toSorted((a, b) => a.target.size - b.target.size);
}

/**
 * What is proven before it is dropped: a drop reads the manifests of all images, and the disk may be
 * what is short.
 */
const BATCH = { blobs: 100, bytes: 16 * 1024 * 1024 };

/** Looks for recipes, and drops blobs soon after their own are proven; what a kill leaves proven, the next call drops. */
export async function prove(store: Store, options: SettleOptions, done: Settled): Promise<void> {
  const { signal, onProgress } = options;
  await using thread = new RecipeThread();
  const batch = new Set<Digest>();
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (batch.size > 0) await drop(store, 'recreate', done, batch);
    batch.clear();
    bytes = 0;
  };
  try {
    for (const blob of unproven(store)) {
      signal?.throwIfAborted();
      const event = await proveOne(store, thread, blob, options);
      const { digest, size } = blob.target;
      if (event.type === 'failed') done.failed.add(digest);
      else if (event.type === 'unproven') done.unproven.push(digest);
      else {
        done.proven.push(digest);
        batch.add(digest);
        bytes += size;
        if (batch.size >= BATCH.blobs || bytes >= BATCH.bytes) await flush();
      }
      onProgress?.(event);
    }
  } finally {
    await flush();
  }
}

async function proveOne(
  { db, content, leases }: Store,
  thread: RecipeThread,
  { target, diffId, layer }: LayerBlob,
  { signal }: SettleOptions,
): Promise<SettleEvent> {
  using lease = leases.open(`recipe of ${target.digest}`);
  // Not the blob: it is to go.
  if (layer?.key !== undefined) lease.hold('layer', [layer.key]);
  try {
    const tar = findLayerTar(db, diffId);
    if (tar === undefined)
      throw new MicaError('NOT_FOUND', `the tar of layer ${diffId} is not there any more`);
    const found = await thread.find({ target, tar, blob: content.path(target.digest) }, { signal });
    // Durable before anybody relies on it.
    db.transaction(() => new RecipeRows(db).put(target.digest, diffId, found), { durable: true });
    return 'reason' in found
      ? { type: 'unproven', target, reason: found.reason }
      : { type: 'proven', target, milliseconds: found.milliseconds };
  } catch (error) {
    if (signal?.aborted || !(error instanceof MicaError)) throw error;
    return { type: 'failed', target, reason: error.message };
  }
}
