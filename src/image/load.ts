import type { Source } from '../content/content.ts';
import { fetchAll } from '../content/verify.ts';
import { MicaError } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import type { Layer } from '../layer/layer.ts';
import { parseImageConfig, MAX_CONFIG_SIZE, type ImageConfig } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import {
  artifactTypeOf,
  MAX_MANIFEST_SIZE,
  parseIndex,
  parseManifest,
  type Manifest,
} from '../oci/manifest.ts';
import { isIndex, isLayer } from '../oci/media-type.ts';
import { choosePlatform, matchPlatform } from '../oci/choose-platform.ts';
import { formatPlatform, hostPlatform, type Platform } from '../oci/platform.ts';
import type { Image } from './image.ts';

export interface LoadOptions extends Abortable {
  /** Which image of an index; a single image must be for it, too. Default: this machine's, if there is a choice. */
  readonly platform?: Platform | undefined;
}

/** An index of indexes is legal; one that goes on and on is an attack. */
const MAX_INDEX_DEPTH = 4;

/**
 * Reads an image's documents, each verified against the descriptor that names it, and holds them
 * against each other. Layers are not read.
 *
 * @throws NOT_FOUND when an index has nothing for the platform; FAILED_PRECONDITION for what is no
 *   image (a signature, a chart…); INVALID_ARGUMENT when the documents contradict each other
 */
export async function loadImage(
  source: Source,
  target: Descriptor,
  options: LoadOptions = {},
): Promise<Image> {
  const { manifest: descriptor } = await chooseManifest(source, target, options);
  const manifestBytes = await fetchDocument(source, descriptor, MAX_MANIFEST_SIZE, options);
  const manifest = parseManifest(manifestBytes, descriptor.mediaType);
  refuseArtifact(descriptor, manifest);
  const configBytes = await fetchDocument(source, manifest.config, MAX_CONFIG_SIZE, options);
  const config = parseImageConfig(configBytes);
  refuseOtherPlatform(descriptor, config, options.platform);
  const layers = pairLayers(source, descriptor, manifest, config);
  return { descriptor, manifest, manifestBytes, config, configBytes, layers };
}

/** The manifest that `target` leads to on a platform, and the indexes passed on the way, outermost first. */
export interface ChosenManifest {
  readonly manifest: Descriptor;
  readonly indexes: readonly Descriptor[];
}

export async function chooseManifest(
  source: Source,
  target: Descriptor,
  options: LoadOptions = {},
): Promise<ChosenManifest> {
  options.signal?.throwIfAborted();
  const indexes: Descriptor[] = [];
  const platform = options.platform ?? hostPlatform();
  let at = target;
  while (isIndex(at.mediaType)) {
    if (indexes.push(at) > MAX_INDEX_DEPTH)
      throw new MicaError('INVALID_ARGUMENT', `${target.digest}: indexes are nested too deeply`);
    const bytes = await fetchDocument(source, at, MAX_MANIFEST_SIZE, options);
    const { manifests } = parseIndex(bytes, at.mediaType);
    at = choosePlatform(manifests, platform);
  }
  return { manifest: at, indexes };
}

async function fetchDocument(
  source: Source,
  target: Descriptor,
  limit: number,
  { signal }: Abortable,
): Promise<Uint8Array> {
  if (target.size <= limit) return fetchAll(source, target, { signal });
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${target.digest}: a ${target.mediaType} of ${target.size} bytes, where ${limit} are the most`,
  );
}

/** Signatures and charts come as manifests, too; some even with the config type of an image. */
function refuseArtifact({ digest }: Descriptor, manifest: Manifest): void {
  const other = manifest.layers.find(({ mediaType }) => !isLayer(mediaType));
  const type = artifactTypeOf(manifest) ?? other?.mediaType;
  if (type === undefined) return;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `${digest} is no container image but an artifact of type ${JSON.stringify(type.slice(0, 200))}`,
  );
}

/** Only when somebody asked: an image that was chosen without choice may be for another machine. */
function refuseOtherPlatform(
  { digest }: Descriptor,
  config: ImageConfig,
  wanted: Platform | undefined,
): void {
  if (!wanted || config.architecture === '' || matchPlatform(wanted, config)) return;
  throw new MicaError(
    'NOT_FOUND',
    `${digest} is an image for ${formatPlatform(config)}, not for ${formatPlatform(wanted)}`,
  );
}

function pairLayers(
  source: Source,
  { digest }: Descriptor,
  manifest: Manifest,
  config: ImageConfig,
): Layer[] {
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${digest}: the manifest has ${manifest.layers.length} layers, its config ${diffIds.length}`,
    );
  return manifest.layers.map((descriptor, at) => ({
    descriptor,
    diffId: diffIds[at]!,
    open: (options) => source.fetch(descriptor, options),
  }));
}
