import type { Sink } from '../../content/content.ts';
import type { ImageName } from '../../content/archive/write-archive.ts';
import { openLayout } from '../../content/layout.ts';
import { MicaError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { parseReference, type Reference, withDefaults } from '../../oci/reference.ts';
import type { Context } from '../context.ts';
import { openArchiveTarget } from './archive-target.ts';
import type { Place } from './place.ts';
import { RegistrySink } from './registry-sink.ts';
import type { TransferOptions } from './transfer.ts';

/** Where an image goes to, anywhere but the store. */
export interface Destination extends AsyncDisposable {
  readonly sink: Sink;
  readonly isRegistry: boolean;
  /** Blobs at once. */
  readonly concurrency: number;
  /** Everything is there: lists it. */
  name(target: Descriptor): Promise<void>;
}

export interface DestinationOptions extends TransferOptions {
  readonly root: Descriptor;
  /** Repositories that have the image. */
  readonly siblings: readonly Reference[];
}

/** Requests about blobs at once; one that is there already takes no bandwidth. */
export const REGISTRY_CONCURRENCY = 8;

export async function openDestination(
  context: Context,
  place: Exclude<Place, { kind: 'store' }>,
  options: DestinationOptions,
): Promise<Destination> {
  switch (place.kind) {
    case 'registry':
      return toRegistry(context, place.reference, options);
    case 'oci': {
      const layout = openLayout(place.path, { create: true });
      return {
        sink: layout,
        isRegistry: false,
        concurrency: 3,
        name: (target) =>
          place.name === '' ? layout.add(target, options) : layout.tag(place.name, target, options),
        [Symbol.asyncDispose]: async () => {},
      };
    }
    default: {
      const name = nameInArchive(place.kind, place.name);
      const archive = await openArchiveTarget(place.path, place.kind);
      return {
        sink: archive.archive,
        isRegistry: false,
        concurrency: 1,
        async name(target) {
          archive.archive.name(target, name);
          await archive.finish(options);
        },
        [Symbol.asyncDispose]: () => archive[Symbol.asyncDispose](),
      };
    }
  }
}

async function toRegistry(
  context: Context,
  reference: Reference,
  { root, siblings, onProgress }: DestinationOptions,
): Promise<Destination> {
  const { tag, digest, domain, path } = reference;
  if (digest !== undefined && digest !== root.digest)
    throw new MicaError('INVALID_ARGUMENT', `the image is ${root.digest}, and not ${digest}`);
  const mountable = siblings
    .filter((one) => one.domain === domain && one.path !== path)
    .map((one) => one.path);
  const sink = new RegistrySink((await context.registry()).repository(reference), {
    root,
    tag,
    siblings: () => mountable,
    onMount: (target, from) => onProgress?.({ type: 'mounted', target, from }),
  });
  return {
    sink,
    isRegistry: true,
    concurrency: REGISTRY_CONCURRENCY,
    name: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

function nameInArchive(
  kind: 'oci-archive' | 'docker-archive',
  name: string,
): ImageName | undefined {
  if (name === '') return undefined;
  if (kind === 'oci-archive') return name;
  const { tag, ...rest } = withDefaults(parseReference(name));
  if (tag !== undefined) return { ...rest, tag };
  throw new MicaError('INVALID_ARGUMENT', `${name}: an archive names images by tags, not digests`);
}
