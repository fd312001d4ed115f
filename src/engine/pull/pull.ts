import { syncStore } from '../../db/sync.ts';
import {
  findReference,
  findRepoDigests,
  putReference,
  putRepoDigest,
} from '../../db/references.ts';
import { findImage, putImage } from '../../db/images.ts';
import { MicaError } from '../../errors.ts';
import type { Image } from '../../image/image.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { chainIds, type Digest } from '../../oci/digest.ts';
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
import { type Context, type Store } from '../context.ts';
import type { PullEvent, PullOptions, PullResult, StoredImage } from '../engine.ts';
import { storedImage } from '../images.ts';
import { bringLayers } from './bring-layers.ts';
import { loadRemoteImage, type RemoteImage } from './remote-image.ts';

/** @see Engine.pull */
export async function pull(
  context: Context,
  text: string,
  options: PullOptions = {},
): Promise<PullResult> {
  const reference = withDefaults(parseReference(text));
  const name = formatReference(reference);
  const emit = options.onProgress ?? (() => {});
  const listen = (event: { target: Descriptor | undefined; reason: string; delay: number }): void =>
    emit({ type: 'retry', ...event });
  context.onRetry.add(listen);
  try {
    return await pullReference(context, { reference, name, emit, options });
  } catch (error) {
    if (options.signal?.aborted || !(error instanceof MicaError)) throw error;
    throw new MicaError(error.code, `pull ${name}: ${error.message}`, { cause: error });
  } finally {
    context.onRetry.delete(listen);
  }
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
  (await context.unpacker()).warm();
  const remote = await loadRemoteImage(repository, target, options);
  emit({ type: 'layers', layers: remote.image.manifest.layers });
  return await bring(context, pulling, { repository, target, remote });
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
  readonly remote: RemoteImage;
}

async function bring(
  context: Context,
  pulling: Pulling,
  { repository, target, remote }: Remote,
): Promise<PullResult> {
  const { name, emit, options } = pulling;
  const store = await context.store();
  using lease = store.leases.open(`pull ${name}`);
  const { image, documents } = remote;
  const chain = chainIds(image.config.rootfs.diff_ids);
  const digests = [
    ...documents.map((document) => document.target.digest),
    ...image.manifest.layers.map(({ digest }) => digest),
  ];
  lease.hold('blob', digests);
  lease.hold('layer', [...image.config.rootfs.diff_ids, ...chain]);
  let bytesFetched = documents.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  const layers = await bringLayers(
    {
      store,
      lease,
      repository,
      image,
      emit,
      unpacker: () => context.unpacker(),
      limit: context.config.maxConcurrentDownloads,
    },
    { signal: options.signal, onFetched: (bytes) => (bytesFetched += bytes) },
  );
  for (const document of documents)
    await store.content.push(
      document.target,
      async function* (offset) {
        yield document.bytes.subarray(offset);
      },
      { signal: options.signal },
    );
  options.signal?.throwIfAborted();
  await publish(store, pulling, { image, target, digests, layers });
  await store.content.project();
  const record = findImage(store.db, image.manifest.config.digest)!;
  return {
    reference: name,
    image: storedImage(store.db, { record, manifest: image.descriptor.digest }),
    target,
    upToDate: false,
    bytesFetched,
  };
}

interface Published {
  readonly image: Image;
  readonly target: Descriptor;
  readonly digests: readonly Digest[];
  /** Numbers of the unpacked layers, base first. */
  readonly layers: readonly number[];
}

/** Everything is on the disk before anything is named, and named at once. */
async function publish(
  store: Store,
  { reference }: Pulling,
  { image, target, digests, layers }: Published,
): Promise<void> {
  const { db, content, snapshots } = store;
  await syncStore(db);
  db.transaction(
    () => {
      content.ready([...new Set(digests)]);
      store.layers.ready(layers);
      let parent = '';
      for (const [at, chainId] of chainIds(image.config.rootfs.diff_ids).entries()) {
        snapshots.record(chainId, { parent, layer: layers[at]! });
        parent = chainId;
      }
      const id = image.manifest.config.digest;
      const manifest = { descriptor: image.descriptor, document: image.manifestBytes };
      putImage(db, { id, config: image.configBytes, manifest });
      const pointer = { image: id, manifest: image.descriptor.digest, target };
      if (reference.tag !== undefined)
        putReference(db, formatReference({ ...reference, digest: undefined }), pointer);
      putRepoDigest(db, repositoryOf(reference), pointer);
    },
    { durable: true },
  );
}
