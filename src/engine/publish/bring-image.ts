import type { Source } from '../../content/content.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Context } from '../context.ts';
import type { PullEvent } from '../pull/pull.ts';
import type { StoredImage } from '../stored-image.ts';
import { bringLayers } from './bring-layers.ts';
import { depthBeyond, refusalOf, warningOf } from './depth.ts';
import { holdImage, type Publication, publishImage } from './publish-image.ts';

/** An image that a source has, and what is to become of it. */
export interface Brought extends Omit<Publication, 'layers'> {
  readonly source: Source;
  /** Of the operation, for people: `pull docker.io/library/redis:latest`. */
  readonly purpose: string;
}

export interface BringOptions extends Abortable {
  readonly onProgress?: ((event: PullEvent) => void) | undefined;
}

export interface BroughtImage {
  readonly image: StoredImage;
  /** Bytes of layers that the source was asked for. */
  readonly bytesFetched: number;
}

/**
 * Brings an image into the store: fetches the layers that are not here, unpacks them while they
 * come, and publishes. Nothing of it is visible before all of it is durable; what arrived before an
 * error or a crash is not fetched again.
 * @throws NOT_IMPLEMENTED before anything is fetched: it is to be mounted, and is too deep for the store's driver
 */
export async function bringImage(
  context: Context,
  brought: Brought,
  { onProgress, signal }: BringOptions = {},
): Promise<BroughtImage> {
  const emit = onProgress ?? (() => {});
  const { image, source } = brought;
  const store = await context.store();
  const tooDeep = depthBeyond(store.choice.driver, image.config.rootfs.diff_ids);
  if (tooDeep !== undefined && brought.toMount === true) throw refusalOf(tooDeep);
  if (tooDeep !== undefined) emit({ type: 'warning', message: warningOf(tooDeep) });
  using lease = store.leases.open(brought.purpose);
  holdImage(lease, brought);
  let bytesFetched = 0;
  const layers = await bringLayers(
    {
      store,
      lease,
      source,
      image,
      emit,
      unpacker: () => context.unpacker(),
      limit: context.config.maxConcurrentDownloads,
    },
    { signal, onFetched: (bytes) => (bytesFetched += bytes) },
  );
  return { image: await publishImage(store, { ...brought, layers }, { signal }), bytesFetched };
}
