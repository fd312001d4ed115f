import { findImage, putImage } from '../../db/images.ts';
import type { Lease } from '../../db/leases.ts';
import { putReference, putRepoDigest } from '../../db/references.ts';
import { syncStore } from '../../db/sync.ts';
import type { Document, Image } from '../../image/image.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { chainIds, type Digest } from '../../oci/digest.ts';
import { formatReference, type Reference } from '../../oci/reference.ts';
import type { Store } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { storedImage } from '../images.ts';

/** An image whose layers are in the store, on its way to being seen. */
export interface Publication {
  readonly image: Image;
  /** Manifest and config, and whichever indexes led to them: those that the store has not are put there. */
  readonly documents: readonly Document[];
  /** What the names stand for: the manifest, or one of the indexes. */
  readonly target: Descriptor;
  /** Numbers of the unpacked layers, base first. */
  readonly layers: readonly number[];
  /** Tags that point to it from now on, wherever they pointed before. None: it can be had by its ID. */
  readonly names: readonly Reference[];
  /** Repositories that have it, known by the digest of {@link target}: `docker.io/library/redis`. */
  readonly repositories: readonly string[];
  /** It will be mounted next. */
  readonly toMount?: boolean | undefined;
}

/** Keeps from garbage collection all that an image needs, whether it is there already or not. */
export function holdImage(lease: Lease, { image, documents }: HeldImage): void {
  const diffIds = image.config.rootfs.diff_ids;
  lease.hold('blob', blobsOf({ image, documents }));
  lease.hold('layer', [...diffIds, ...chainIds(diffIds)]);
}

type HeldImage = Pick<Publication, 'image' | 'documents'>;

const blobsOf = ({ image, documents }: HeldImage): Digest[] => [
  ...new Set([
    ...documents.map(({ target }) => target.digest),
    ...image.manifest.layers.map(({ digest }) => digest),
  ]),
];

/**
 * Makes an image visible: all of it is on the disk before anything is named, and named at once, in
 * one transaction. A lease of the caller has {@link holdImage held} it since before its layers
 * were looked for.
 *
 * @throws NOT_FOUND when a blob or a layer of it is not in the store
 */
export async function publishImage(
  store: Store,
  publication: Publication,
  options: Abortable = {},
): Promise<StoredImage> {
  const { db, content } = store;
  const { image, documents } = publication;
  for (const { target, bytes } of documents)
    await content.push(
      target,
      async function* (offset) {
        yield bytes.subarray(offset);
      },
      options,
    );
  options.signal?.throwIfAborted();
  const synced = syncStore(db);
  if (publication.toMount) await anticipate(store, publication.layers, synced);
  await synced;
  db.transaction(() => record(store, publication), { durable: true });
  await content.project();
  const found = findImage(db, image.manifest.config.digest)!;
  return storedImage(db, { record: found, manifest: image.descriptor.digest });
}

/** Does beside `synced` what mounting would do after it. What goes wrong here goes wrong there, where somebody can be told. */
async function anticipate(
  { choice: { driver } }: Store,
  layers: readonly number[],
  synced: Promise<unknown>,
): Promise<void> {
  // Whoever waits for it comes later.
  synced.catch(() => undefined);
  await driver.anticipate?.(layers.toReversed().map(String)).catch(() => undefined);
}

function record(store: Store, publication: Publication): void {
  const { db, content, snapshots } = store;
  const { image, target, layers } = publication;
  // What was dropped on purpose comes back when it is needed.
  content.ready(blobsOf(publication).filter((digest) => !content.isDropped(digest)));
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
  for (const name of publication.names)
    putReference(db, formatReference({ ...name, digest: undefined }), pointer);
  for (const repository of publication.repositories) putRepoDigest(db, repository, pointer);
}
