import type { Collection } from '../../content/collection.ts';
import type { ContentStore, FetchOptions, Source } from '../../content/content.ts';
import { fetchAll } from '../../content/verify.ts';
import { isCode, MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { isImage } from '../../oci/choose-platform.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { parseIndex } from '../../oci/manifest.ts';
import type { Digest } from '../../oci/digest.ts';
import { isIndex } from '../../oci/media-type.ts';
import { formatPlatform, hostPlatform, type Platform } from '../../oci/platform.ts';
import { type ReadImage, readImage } from '../publish/read-image.ts';

/** A source that can say what it has. */
export interface PartialSource extends Source {
  has(target: Descriptor, options?: Abortable): Promise<boolean>;
}

/** What an archive leaves out may be in the store already; what was dropped there comes back. */
export function inEither(collection: Collection, content: ContentStore): PartialSource {
  const isHere = async (target: Descriptor, options?: Abortable): Promise<boolean> =>
    content.isDropped(target.digest) || (await content.has(target, options));
  return {
    has: async (target, options) =>
      (await collection.has(target, options)) || (await isHere(target, options)),
    async *fetch(target: Descriptor, options: FetchOptions = {}): Bytes {
      const isOnlyHere =
        !(await collection.has(target, options)) && (await isHere(target, options));
      yield* (isOnlyHere ? content : collection).fetch(target, options);
    },
  };
}

export interface ChosenImage {
  /** That which led to the image. */
  readonly target: Descriptor;
  readonly read: ReadImage;
}

export interface ChooseOptions extends Abortable {
  readonly platform?: Platform | undefined;
}

/**
 * The image to take from `targets`, which are one image for different platforms: the one for the
 * wanted platform; where none is wanted, the one for this machine, or else the only one that is
 * there whole. Archives often have an index of which only one image came along.
 *
 * @throws NOT_FOUND · DATA_LOSS…
 */
export async function chooseWhole(
  source: PartialSource,
  targets: readonly Descriptor[],
  options: ChooseOptions,
): Promise<ChosenImage> {
  const { platform, signal } = options;
  let failure: unknown;
  for (const target of targets)
    try {
      // A single image is taken whatever it is for, unless somebody asked.
      const wanted = targets.length > 1 ? (platform ?? hostPlatform()) : platform;
      const read = await readImage(source, target, { signal, platform: wanted });
      if (platform !== undefined || (await isWhole(source, read))) return { target, read };
      failure ??= await lacking(source, read);
    } catch (error) {
      if (!isCode(error, 'NOT_FOUND')) throw error;
      failure ??= error;
    }
  const others = platform === undefined ? await wholeImages(source, targets, signal) : [];
  if (others.length === 1) return others[0]!;
  if (others.length === 0) throw failure;
  const platforms = others.map(({ read }) => formatPlatform(read.image.config));
  throw new MicaError(
    'NOT_FOUND',
    `there is no whole image for ${formatPlatform(hostPlatform())}; choose with --platform: ${platforms.join(', ')}`,
  );
}

async function wholeImages(
  source: PartialSource,
  targets: readonly Descriptor[],
  signal: AbortSignal | undefined,
): Promise<ChosenImage[]> {
  const whole: ChosenImage[] = [];
  const seen = new Set<Digest>();
  for (const target of targets)
    for (const only of await imagesBelow(source, target, seen, signal)) {
      const read = await readImage(source, only, { signal }).catch(ifNotFound);
      if (read && (await isWhole(source, read)))
        whole.push({ target, read: await withIndex(source, target, read, signal) });
    }
  return whole;
}

async function isWhole(source: PartialSource, read: ReadImage): Promise<boolean> {
  return (await missing(source, read)) === undefined;
}

async function missing(
  source: PartialSource,
  { image }: ReadImage,
): Promise<Descriptor | undefined> {
  for (const layer of image.manifest.layers) if (!(await source.has(layer))) return layer;
  return undefined;
}

/** What fetching the missing layer fails with. */
async function lacking(source: PartialSource, read: ReadImage): Promise<unknown> {
  const layer = (await missing(source, read))!;
  try {
    for await (const _ of source.fetch(layer)) break;
  } catch (error) {
    return error;
  }
  return new MicaError('DATA_LOSS', `layer ${layer.digest} is not whole`);
}

/**
 * Image manifests that `target` leads to and that are there, each once: indexes may list one another
 * any number of times.
 */
async function imagesBelow(
  source: PartialSource,
  target: Descriptor,
  seen: Set<Digest>,
  signal: AbortSignal | undefined,
): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  let level: readonly Descriptor[] = [target];
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    const next: Descriptor[] = [];
    for (const one of level) {
      if (seen.has(one.digest)) continue;
      seen.add(one.digest);
      if (one !== target && !(await source.has(one, { signal }))) continue;
      if (!isIndex(one.mediaType)) found.push(one);
      else if (depth < MAX_DEPTH)
        for (const each of await imagesOf(source, one, signal)) next.push(each);
    }
    level = next;
  }
  return found;
}

async function imagesOf(
  source: PartialSource,
  index: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Descriptor[]> {
  if (!(await source.has(index, { signal }))) return [];
  const bytes = await fetchAll(source, index, { signal });
  return parseIndex(bytes, index.mediaType).manifests.filter(isImage);
}

const MAX_DEPTH = 4;

/** The index belongs to what was loaded as it does to what was pulled. */
async function withIndex(
  source: PartialSource,
  target: Descriptor,
  read: ReadImage,
  signal: AbortSignal | undefined,
): Promise<ReadImage> {
  if (target.digest === read.image.descriptor.digest) return read;
  const bytes = await fetchAll(source, target, { signal });
  return { ...read, documents: [{ target, bytes }, ...read.documents] };
}

function ifNotFound(error: unknown): undefined {
  if (!isCode(error, 'NOT_FOUND')) throw error;
}
