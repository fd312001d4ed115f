import { tmpdir } from 'node:os';
import { openArchive } from '../../content/archive/open-archive.ts';
import { resolveIn } from '../../content/collection.ts';
import { openLayout } from '../../content/layout.ts';
import { findReference } from '../../db/references.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { inFull } from '../../content/collection.ts';
import type { Reference } from '../../oci/reference.ts';
import type { Context } from '../context.ts';
import { findByName, storedImage } from '../images.ts';
import type { PartialSource } from './choose-whole.ts';
import type { Place } from './place.ts';
import type { CopyOptions } from './transfer.ts';

/** Where an image comes from. */
export interface Origin {
  readonly source: PartialSource;
  /** An index, or a manifest. */
  readonly target: Descriptor;
  /** Of a registry: what it may be mounted from. */
  readonly repository?: Reference | undefined;
}

/** Whatever is opened belongs to `owner`. */
export async function openOrigin(
  context: Context,
  place: Place,
  owner: AsyncDisposableStack,
  { all = false, signal }: CopyOptions,
): Promise<Origin> {
  switch (place.kind) {
    case 'registry': {
      const { reference } = place;
      const source = (await context.registry()).repository(reference);
      const target = await source.resolve(reference.digest ?? reference.tag ?? 'latest', {
        signal,
      });
      return { source: readOnly(source), target, repository: reference };
    }
    case 'store':
      return ofStore(context, place.name, owner, all);
    case 'oci': {
      const layout = openLayout(place.path);
      return { source: layout, target: resolveIn(layout, place.name) };
    }
    default: {
      // A copy from here to there needs no store.
      const archive = owner.use(await openArchive(place.path, { spool: tmpdir(), signal }));
      return { source: archive, target: resolveIn(archive, place.name) };
    }
  }
}

/** Asking a registry for each layer costs more than believing its manifests. */
const readOnly = (source: Pick<PartialSource, 'fetch'>): PartialSource => ({
  fetch: (target, options) => source.fetch(target, options),
  has: async () => true,
});

async function ofStore(
  context: Context,
  name: string,
  owner: AsyncDisposableStack,
  all: boolean,
): Promise<Origin> {
  const { db, content, leases } = await context.readableStore();
  const image = storedImage(db, findByName(db, name));
  const lease = owner.use(leases.open(`copy ${name}`));
  const { manifest, manifestDescriptor } = image;
  const blobs = [manifestDescriptor, manifest.config, ...manifest.layers];
  lease.hold(
    'blob',
    blobs.map(({ digest }) => digest),
  );
  const named = all ? findReference(db, inFull(name) ?? name) : undefined;
  return { source: content, target: named?.target ?? manifestDescriptor };
}
