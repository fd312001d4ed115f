import { findReference, findRepoDigests } from '../../db/references.ts';
import { findImage } from '../../db/images.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { matchPlatform } from '../../oci/choose-platform.ts';
import { hostPlatform, type Platform } from '../../oci/platform.ts';
import {
  formatReference,
  parseReference,
  type Reference,
  repositoryOf,
  withDefaults,
} from '../../oci/reference.ts';
import type { Repository } from '../../registry/registry.ts';
import { attempt } from '../attempt.ts';
import type { Context } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { storedImage } from '../images.ts';
import { bringImage } from '../publish/bring-image.ts';
import { type ReadImage, readImage } from '../publish/read-image.ts';
import type { Abortable } from '../../io/bytes.ts';

export interface PullOptions extends Abortable {
  /** e.g. `linux/arm64`. Default: this machine's. */
  readonly platform?: Platform | undefined;
  /** It will be mounted next: what that needs is made while the disk is waited for. */
  readonly toMount?: boolean;
  readonly onProgress?: ((event: PullEvent) => void) | undefined;
}

/** Facts, in the order they happen; several layers interleave. */
export type PullEvent =
  | { readonly type: 'resolving'; readonly reference: string }
  | { readonly type: 'resolved'; readonly target: Descriptor; readonly from: string }
  /** Once per pull: the layers, base first. */
  | { readonly type: 'layers'; readonly layers: readonly Descriptor[] }
  | { readonly type: 'exists'; readonly target: Descriptor }
  | { readonly type: 'waiting'; readonly target: Descriptor }
  /** `bytes` of the blob are here, `resumed` of them from an earlier attempt; `shared`: another process downloads it. */
  | {
      readonly type: 'bytes';
      readonly target: Descriptor;
      readonly bytes: number;
      readonly resumed: number;
      readonly shared: boolean;
    }
  | { readonly type: 'downloaded'; readonly target: Descriptor }
  | { readonly type: 'extracting'; readonly target: Descriptor; readonly bytes: number }
  | { readonly type: 'complete'; readonly target: Descriptor }
  /** A request is tried again after `delay` milliseconds. */
  | {
      readonly type: 'retry';
      readonly target: Descriptor | undefined;
      readonly reason: string;
      readonly delay: number;
    }
  | { readonly type: 'warning'; readonly message: string };

export interface PullResult {
  readonly reference: string;
  readonly image: StoredImage;
  /** What the reference resolved to (an index or a manifest). */
  readonly target: Descriptor;
  /** Nothing had to be fetched or unpacked. */
  readonly upToDate: boolean;
  readonly bytesFetched: number;
}

/** @see Engine.pull */
export async function pull(
  context: Context,
  text: string,
  options: PullOptions = {},
): Promise<PullResult> {
  const reference = withDefaults(parseReference(text));
  const name = formatReference(reference);
  const emit = options.onProgress ?? (() => {});
  return attempt(context, `pull ${name}`, options, () =>
    pullReference(context, { reference, name, emit, options }),
  );
}

interface Pulling {
  readonly reference: Reference;
  readonly name: string;
  readonly emit: (event: PullEvent) => void;
  readonly options: PullOptions;
}

async function pullReference(context: Context, pulling: Pulling): Promise<PullResult> {
  const { reference, name, emit, options } = pulling;
  const { signal } = options;
  emit({ type: 'resolving', reference: name });
  const repository = (await context.registry()).repository(reference);
  const target = await repository.resolve(reference.digest ?? reference.tag ?? 'latest', {
    signal,
  });
  emit({ type: 'resolved', target, from: repository.name });
  const present = await alreadyHere(context, pulling, target);
  if (present !== undefined) {
    emit({ type: 'layers', layers: present.manifest.layers });
    for (const layer of present.manifest.layers) emit({ type: 'exists', target: layer });
    return { reference: name, image: present, target, upToDate: true, bytesFetched: 0 };
  }
  // A thread takes a moment to start; the documents take a moment to come.
  const unpacker = await context.unpacker();
  unpacker.warm([]);
  const read = await readImage(repository, target, options);
  unpacker.warm(read.image.layers.map(({ descriptor }) => descriptor.size));
  emit({ type: 'layers', layers: read.image.manifest.layers });
  return await bring(context, pulling, { repository, target, read });
}

/** The image that the reference already names here, whole, if it is what the registry has. */
async function alreadyHere(
  context: Context,
  { reference, name, options }: Pulling,
  target: Descriptor,
): Promise<StoredImage | undefined> {
  const db = await context.reading();
  const known =
    reference.tag === undefined
      ? findRepoDigests(db, repositoryOf(reference), target.digest)
      : [findReference(db, name)].filter((row) => row?.target.digest === target.digest);
  for (const row of known) {
    const record = row && findImage(db, row.image);
    if (record === undefined) continue;
    const image = storedImage(db, { record, manifest: row!.manifest });
    if (
      isForPlatform(image, target, options.platform) &&
      image.layers.every(({ directory }) => directory !== '')
    )
      return image;
  }
  return undefined;
}

/** What came without a choice is right for whoever did not ask for a platform. */
function isForPlatform(
  image: StoredImage,
  target: Descriptor,
  wanted: Platform | undefined,
): boolean {
  const only = image.manifestDescriptor.digest === target.digest;
  return (wanted === undefined && only) || matchPlatform(wanted ?? hostPlatform(), image.config);
}

interface Remote {
  readonly repository: Repository;
  readonly target: Descriptor;
  readonly read: ReadImage;
}

async function bring(
  context: Context,
  { reference, name, emit, options }: Pulling,
  { repository, target, read }: Remote,
): Promise<PullResult> {
  const { image, bytesFetched } = await bringImage(
    context,
    {
      ...read,
      source: repository,
      target,
      purpose: `pull ${name}`,
      names: reference.tag === undefined ? [] : [reference],
      toMount: options.toMount,
      repositories: [repositoryOf(reference)],
    },
    { signal: options.signal, onProgress: emit },
  );
  const documents = read.documents.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  return {
    reference: name,
    image,
    target,
    upToDate: false,
    bytesFetched: documents + bytesFetched,
  };
}
