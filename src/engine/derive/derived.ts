import { MicaError } from '../../errors.ts';
import type { ComposedImage } from '../../image/compose.ts';
import type { Image } from '../../image/image.ts';
import { loadImage } from '../../image/load.ts';
import {
  formatReference,
  parseReference,
  type Reference,
  withDefaults,
} from '../../oci/reference.ts';
import { fromNode } from '../../sys/errno.ts';
import type { Context, Store } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { findByName, storedImage } from '../images.ts';
import { bringImage } from '../publish/bring-image.ts';
import { holdImage } from '../publish/publish-image.ts';
import type { Lease } from '../../db/leases.ts';
import type { DeriveOptions } from './derive.ts';

/** An image of the store that another one is made of. */
export interface Original {
  readonly store: Store;
  readonly stored: StoredImage;
  readonly image: Image;
  /** Keeps the image, and what is made, from garbage collection. */
  readonly lease: Lease;
  /** RFC 3339. */
  readonly created: string;
}

/** What making an image is called, for messages: `squash`, and of which image. */
interface Making {
  readonly verb: string;
  readonly name: string;
}

/**
 * Makes an image of one that is here, and publishes it: the original stays as it is, and what both
 * have is shared. Nothing of the new one is seen before all of it is durable.
 */
export async function derive(
  context: Context,
  { verb, name }: Making,
  options: DeriveOptions,
  make: (original: Original) => Promise<ComposedImage>,
): Promise<StoredImage> {
  const names = (options.names ?? []).map(nameOf);
  const purpose = `${verb} ${name}`;
  try {
    const store = await context.store();
    using lease = store.leases.open(purpose);
    const { stored, image } = await loadStored(store, lease, name);
    const created = createdAt(context, options);
    const composed = await make({ store, stored, image, lease, created });
    const target = composed.image.descriptor;
    const source = store.content;
    const brought = { ...composed, source, target, purpose, names, repositories: [] };
    return (await bringImage(context, brought, options)).image;
  } catch (thrown) {
    const error = fromNode(thrown);
    if (options.signal?.aborted || !(error instanceof MicaError)) throw error;
    throw new MicaError(error.code, `${purpose}: ${error.message}`, { cause: error });
  }
}

/** An image of the store by its name, held by the lease. */
export async function loadStored(
  store: Store,
  lease: Lease,
  name: string,
): Promise<{ readonly stored: StoredImage; readonly image: Image }> {
  const stored = storedImage(store.db, findByName(store.db, name));
  const image = await loadImage(store.content, stored.manifestDescriptor);
  holdImage(lease, { image, documents: [] });
  return { stored, image };
}

function nameOf(text: string): Reference {
  const reference = withDefaults(parseReference(text));
  if (reference.digest === undefined) return reference;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `name ${text}: a name cannot have a digest; write ${formatReference({ ...reference, digest: undefined })}`,
  );
}

function createdAt({ config }: Context, { created }: DeriveOptions): string {
  const { sourceDateEpoch } = config;
  const time =
    created ?? (sourceDateEpoch === undefined ? new Date() : new Date(sourceDateEpoch * 1000));
  return time.toISOString();
}
