import { type ArchiveWriter, type ImageName } from '../../content/archive/write-archive.ts';
import { copy } from '../../content/copy.ts';
import { openLayout } from '../../content/layout.ts';
import type { Database } from '../../db/database.ts';
import { MicaError } from '../../errors.ts';
import { matchPlatform } from '../../oci/choose-platform.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import { formatPlatform } from '../../oci/platform.ts';
import { familiar, formatReference, parseReference, withDefaults } from '../../oci/reference.ts';
import type { Context, Store } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { tellRetries } from '../attempt.ts';
import { findByName, storedImage } from '../images.ts';
import { type ArchiveTarget, openArchiveTarget } from './archive-target.ts';
import { warnOfDocker } from './docker-in-layout.ts';
import { Sent } from './sent.ts';
import type { SaveOptions } from './transfer.ts';

/** What is saved: an image, under the name by which it was asked for. */
interface Saved {
  readonly image: StoredImage;
  readonly name: (ImageName & object) | undefined;
}

/** @see Engine.save */
export async function save(
  context: Context,
  names: readonly string[],
  to: ArchiveTarget,
  options: SaveOptions = {},
): Promise<void> {
  const { format = 'docker-archive', signal } = options;
  const store = await context.readableStore();
  const { db } = store;
  const images = once(names.map((name) => find(db, name, options)));
  const there = new Set(
    (options.have ?? []).flatMap((name) =>
      storedImage(db, findByName(db, name)).manifest.layers.map(({ digest }) => digest),
    ),
  );
  // What was dropped is fetched.
  using _ = tellRetries(context, options.onProgress);
  using lease = store.leases.open(`save ${names.join(' ')}`);
  lease.hold('blob', blobsOf(images));
  if (format !== 'docker-archive')
    for (const { image, name } of images)
      warnOfDocker(
        name === undefined ? image.id : familiar(name),
        image.manifestDescriptor,
        options.onProgress,
      );
  if (format === 'oci-dir') return toDirectory(store, images, there, to, options);
  await using target = await openArchiveTarget(to, format);
  for (const saved of images) {
    await transfer(store, saved.image, there, target.archive, options);
    target.archive.name(saved.image.manifestDescriptor, saved.name);
  }
  await target.finish({ signal });
}

/** Whoever asks for an image twice, `app` and `app:latest`, gets it once. */
function once(images: readonly Saved[]): Saved[] {
  const keyOf = ({ image, name }: Saved): string =>
    `${image.manifestDescriptor.digest} ${name === undefined ? '' : formatReference(name)}`;
  return [...new Map(images.map((saved) => [keyOf(saved), saved])).values()];
}

const blobsOf = (images: readonly Saved[]): Digest[] =>
  images.flatMap(({ image: { manifestDescriptor, manifest } }) => [
    manifestDescriptor.digest,
    manifest.config.digest,
    ...manifest.layers.map(({ digest }) => digest),
  ]);

function find(db: Database, name: string, { platform }: SaveOptions): Saved {
  const image = storedImage(db, findByName(db, name));
  if (platform !== undefined && !matchPlatform(platform, image.config))
    throw new MicaError(
      'NOT_FOUND',
      `save ${name}: the image is for ${formatPlatform(image.config)}, not for ${formatPlatform(platform)}`,
    );
  return { image, name: nameIn(image, name) };
}

/** An image that was asked for by its ID or by a digest is saved without a name, as docker does. */
function nameIn({ references }: StoredImage, name: string): Saved['name'] {
  if (isDigest(name) || /^[0-9a-f]{64}$/.test(name)) return undefined;
  const { tag, digest, ...rest } = withDefaults(parseReference(name));
  if (tag === undefined || digest !== undefined) return undefined;
  return references.includes(formatReference({ ...rest, tag })) ? { ...rest, tag } : undefined;
}

async function transfer(
  { content }: Store,
  image: StoredImage,
  there: ReadonlySet<Digest>,
  to: Pick<ArchiveWriter, 'has' | 'push'>,
  { signal, onProgress }: SaveOptions,
): Promise<void> {
  const sent = new Sent(onProgress ?? (() => {}));
  onProgress?.({ type: 'layers', layers: image.manifest.layers });
  await copy(content, to, image.manifestDescriptor, {
    signal,
    want: ({ digest }) => !there.has(digest),
    onProgress: (event) => sent.tell(event),
  });
}

async function toDirectory(
  store: Store,
  images: readonly Saved[],
  there: ReadonlySet<Digest>,
  to: ArchiveTarget,
  options: SaveOptions,
): Promise<void> {
  if (typeof to !== 'string')
    throw new MicaError('INVALID_ARGUMENT', 'an image layout is a directory: give its path');
  const layout = openLayout(to, { create: true });
  for (const { image, name } of images) {
    await transfer(store, image, there, layout, options);
    const target = image.manifestDescriptor;
    if (name === undefined) await layout.add(target, options);
    else await layout.tag(formatReference(name), target, options);
  }
}
