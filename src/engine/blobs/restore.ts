import { openContentStore } from '../../content/file-store.ts';
import type { Lease } from '../../db/leases.ts';
import { openDatabase } from '../../db/open.ts';
import { syncStore } from '../../db/sync.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Context, Store } from '../context.ts';
import type { SettleOptions, Settled } from './settle.ts';
import { layerBlobs } from './layer-blobs.ts';
import { originSource } from './origins.ts';

/** @see Engine.restoreBlob */
export async function restoreBlob(
  context: Context,
  target: Descriptor,
  options: Abortable = {},
): Promise<void> {
  // Only what this needs: the storage driver may not work where this process runs.
  using db = await openDatabase(context.config.root);
  const origin = originSource(db, () => context.registry());
  await using content = await openContentStore(db, { origin });
  await content.restore(target, options);
}

/**
 * Brings back everything that was dropped, to stay. What cannot be had is told, and stays dropped.
 */
export async function restoreAll(
  store: Store,
  { signal, onProgress }: SettleOptions,
  done: Settled,
): Promise<void> {
  using lease = store.leases.open('restore blobs');
  const here: Digest[] = [];
  for (const target of droppedBlobs(store)) {
    lease.hold('blob', [target.digest]);
    try {
      await store.content.restore(target, { signal });
      here.push(target.digest);
      onProgress?.({ type: 'restored', target });
    } catch (error) {
      if (signal?.aborted || !(error instanceof MicaError)) throw error;
      if (error.code === 'RESOURCE_EXHAUSTED') throw error;
      done.failed.add(target.digest);
      onProgress?.({ type: 'failed', target, reason: error.message });
    }
  }
  done.restored.push(...here);
  await keepFromNowOn(store, here);
}

/** What {@link restoreMakeable} would write, in bytes. */
export async function makeableBytes(store: Store): Promise<number> {
  let bytes = 0;
  for (const target of droppedBlobs(store))
    if (store.content.isDropped(target.digest) && (await store.content.has(target)))
      bytes += target.size;
  return bytes;
}

/**
 * Brings back, to stay, what is made from tars that are about to go.
 * @param lease - keeps it from being dropped again
 */
export async function restoreMakeable(
  store: Store,
  lease: Lease,
  options: Abortable,
): Promise<void> {
  const here: Digest[] = [];
  for (const target of droppedBlobs(store)) {
    lease.hold('blob', [target.digest]);
    if (!(await store.content.has(target))) continue;
    await store.content.restore(target, options);
    here.push(target.digest);
  }
  await keepFromNowOn(store, here);
}

/** Descriptors of the dropped blobs that images have. */
function droppedBlobs({ db, content }: Store): Descriptor[] {
  const dropped = new Set(content.dropped().map(({ digest }) => digest));
  return layerBlobs(db)
    .map(({ target }) => target)
    .filter(({ digest }) => dropped.has(digest));
}

async function keepFromNowOn({ db, content }: Store, digests: readonly Digest[]): Promise<void> {
  if (digests.length === 0) return;
  await syncStore(db);
  db.transaction(() => content.ready(digests), { durable: true });
  await content.project();
}
