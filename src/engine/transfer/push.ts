import { copy } from '../../content/copy.ts';
import type { Database } from '../../db/database.ts';
import { findImage } from '../../db/images.ts';
import { findReference, findRepoDigests, putRepoDigest } from '../../db/references.ts';
import { MicaError } from '../../errors.ts';
import { matchPlatform } from '../../oci/choose-platform.ts';
import { isForeignLayer } from '../../oci/media-type.ts';
import { formatPlatform, type Platform } from '../../oci/platform.ts';
import {
  formatReference,
  parseReference,
  type Reference,
  repositoryOf,
  withDefaults,
} from '../../oci/reference.ts';
import { attempt } from '../attempt.ts';
import type { Context } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { findByName, storedImage } from '../images.ts';
import { mountable } from './mountable.ts';
import { RegistrySink } from './registry-sink.ts';
import { Sent } from './sent.ts';
import type { PushOptions, PushResult } from './transfer.ts';

/** Requests about blobs at once; a blob that is there already takes one, and no bandwidth. */
const CONCURRENCY = 8;

/** @see Engine.push */
export async function push(
  context: Context,
  text: string,
  options: PushOptions = {},
): Promise<PushResult> {
  const reference = withDefaults(parseReference(text));
  return attempt(context, `push ${formatReference(reference)}`, options, () => {
    if (reference.digest !== undefined)
      throw new MicaError('INVALID_ARGUMENT', 'a push gives a tag; leave out the digest');
    return pushReference(context, reference, options);
  });
}

async function pushReference(
  context: Context,
  reference: Reference,
  options: PushOptions,
): Promise<PushResult> {
  const { signal } = options;
  const emit = options.onProgress ?? (() => {});
  const { db, content, leases } = await context.readableStore();
  const image = imageFor(db, reference, options.platform);
  const { manifest, manifestDescriptor: target } = image;
  using lease = leases.open(`push ${formatReference(reference)}`);
  lease.hold('blob', [
    target.digest,
    manifest.config.digest,
    ...image.manifest.layers.map(({ digest }) => digest),
  ]);
  emit({ type: 'layers', layers: manifest.layers });
  const repository = (await context.registry()).repository(reference);
  const sink = new RegistrySink(repository, {
    tag: reference.tag,
    root: target,
    siblings: mountable(db, reference),
    onMount: (mounted, from) => emit({ type: 'mounted', target: mounted, from }),
  });
  const sent = new Sent(emit);
  await copy(content, sink, target, {
    signal,
    concurrency: CONCURRENCY,
    want: ({ mediaType }) => !isForeignLayer(mediaType),
    onProgress: (event) => sent.tell(event),
  });
  const pointer = { image: image.id, manifest: target.digest, target };
  if (!db.readonly) db.transaction(() => putRepoDigest(db, repositoryOf(reference), pointer));
  return { reference: formatReference(reference), target, bytesSent: sent.bytes };
}

/** The image that has the name; of those that were pulled by it for several platforms, the wanted one. */
function imageFor(db: Database, reference: Reference, platform: Platform | undefined): StoredImage {
  const image = storedImage(db, findByName(db, formatReference(reference)));
  if (platform === undefined || matchPlatform(platform, image.config)) return image;
  const named = findReference(db, formatReference(reference));
  const others = named ? findRepoDigests(db, repositoryOf(reference), named.target.digest) : [];
  for (const { image: id, manifest } of others) {
    const record = findImage(db, id);
    const other = record && storedImage(db, { record, manifest });
    if (other && matchPlatform(platform, other.config)) return other;
  }
  throw new MicaError(
    'NOT_FOUND',
    `the image is for ${formatPlatform(image.config)}; \`mica pull --platform ${formatPlatform(platform)}\` brings the other one`,
  );
}
