import { MicaError, isCode } from '../errors.ts';
import type { Context } from '../engine/context.ts';
import { type PullEvent, pull } from '../engine/pull/pull.ts';
import type { StoredImage } from '../engine/stored-image.ts';
import { findByName, storedImage } from '../engine/images.ts';
import type { Abortable } from '../io/bytes.ts';
import { matchPlatform } from '../oci/choose-platform.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { compressionOf, isForeignLayer, OCI_LAYER } from '../oci/media-type.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import { EPOCH, type StageBase } from './stage-state.ts';

export interface BaseImageOptions extends Abortable {
  readonly platform: Platform;
  /** Ask the registry even if the image is here. */
  readonly pull: boolean;
  readonly onProgress: (event: PullEvent) => void;
}

/** The image that a stage builds on, or takes files from: of the store, else pulled. */
export async function baseImage(
  context: Context,
  name: string,
  options: BaseImageOptions,
): Promise<StageBase> {
  const { platform, signal, onProgress } = options;
  const here = options.pull ? undefined : await findHere(context, name);
  if (here !== undefined && matchPlatform(platform, here.config)) return baseOf(here);
  try {
    const { image } = await pull(context, name, { platform, signal, onProgress });
    return baseOf(image);
  } catch (error) {
    signal?.throwIfAborted();
    if (here === undefined || !(error instanceof MicaError)) throw error;
    throw ofAnotherPlatform(name, here, platform, error);
  }
}

async function findHere(context: Context, name: string): Promise<StoredImage | undefined> {
  const { db } = await context.store();
  try {
    return storedImage(db, findByName(db, name));
  } catch (error) {
    if (isCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Who has an image of that name means it, most often, and is not helped by hearing of a registry alone. */
function ofAnotherPlatform(
  name: string,
  { config }: StoredImage,
  platform: Platform,
  cause: MicaError,
): MicaError {
  const [has, wanted] = [formatPlatform(config), formatPlatform(platform)];
  const advice =
    config.os === 'linux'
      ? `build for what is here, --platform ${has}, or`
      : 'only images for Linux are built;';
  return new MicaError(
    cause.code,
    `${name} is here for ${has} only, and pulling it for ${wanted} failed: ${cause.message}; ${advice} name an image for ${wanted}`,
    { cause },
  );
}

function baseOf({ config, layers, id }: StoredImage): StageBase {
  const { os, architecture, variant, created, author, history } = config;
  if (layers.some(({ descriptor }) => isForeignLayer(descriptor.mediaType)))
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `image ${id} has layers that only its author distributes`,
    );
  if (os !== 'linux')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `image ${id} is for ${formatPlatform({ os, architecture })}; only images for Linux are built`,
    );
  return {
    config: config.config ?? {},
    history: history ?? [],
    layers: layers.map(({ descriptor, diffId }) => ({ descriptor: asOci(descriptor), diffId })),
    platform: { os, architecture, ...(variant && { variant }) },
    created: created ?? EPOCH,
    author,
  };
}

/** The same blob, by the name that a manifest of OCI calls it. */
function asOci({ mediaType, digest, size }: Descriptor): Descriptor {
  const compression = compressionOf(mediaType) ?? 'none';
  return {
    mediaType: compression === 'none' ? OCI_LAYER : `${OCI_LAYER}+${compression}`,
    digest,
    size,
  };
}
