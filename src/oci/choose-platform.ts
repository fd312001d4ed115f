import { MicaError } from '../errors.ts';
import { DOCKER_REFERENCE_TYPE } from './annotations.ts';
import type { Descriptor } from './descriptor.ts';
import { isIndex, isManifest } from './media-type.ts';
import { rankBuild } from './windows-build.ts';
import { formatPlatform, hostPlatform, normalisePlatform, type Platform } from './platform.ts';

/** Whether an image for `offered` runs where `wanted` is asked for, though another may run better. */
export const matchPlatform = (wanted: Platform, offered: Platform): boolean =>
  rank(wanted, offered) >= 0;

/**
 * The manifest of an index that serves `wanted` best; among equals the first, as containerd does.
 * Attestations and artifacts are passed over. Where no entry that names its platform fits, the
 * first that names none is it: its config has the last word.
 *
 * @throws NOT_FOUND with the platforms that there are
 */
export function choosePlatform(descriptors: readonly Descriptor[], wanted: Platform): Descriptor {
  const images = descriptors.filter(isImage);
  let best: Descriptor | undefined;
  let least = Infinity;
  for (const image of images) {
    const found = image.platform ? rank(wanted, image.platform) : -1;
    if (found >= 0 && found < least) [best, least] = [image, found];
  }
  best ??= images.find(({ platform }) => platform === undefined);
  if (best) return best;
  const offered = new Set(images.map(({ platform }) => platform && formatPlatform(platform)));
  throw new MicaError(
    'NOT_FOUND',
    offered.size === 0
      ? 'the index lists no images'
      : `no image for ${formatPlatform(wanted)}; there is ${[...offered].slice(0, 50).join(', ')}`,
  );
}

/** The image for this machine, or else the first; `undefined`: there is none. */
export function chooseImage(descriptors: readonly Descriptor[]): Descriptor | undefined {
  const images = descriptors.filter(isImage);
  const host = hostPlatform();
  return images.find(({ platform }) => platform && matchPlatform(host, platform)) ?? images[0];
}

/** BuildKit lists provenance and SBOMs as images for the platform unknown/unknown. */
export function isImage({ mediaType, annotations, platform, artifactType }: Descriptor): boolean {
  if (annotations?.[DOCKER_REFERENCE_TYPE] !== undefined || artifactType) return false;
  if (platform?.os === 'unknown' && platform.architecture === 'unknown') return false;
  return isManifest(mediaType) || isIndex(mediaType);
}

/** How far `offered` is from the best that `wanted` could get; -1: it does not run there. */
function rank(wanted: Platform, offered: Platform): number {
  const [want, offer] = [normalisePlatform(wanted), normalisePlatform(offered)];
  if (want.os !== offer.os) return -1;
  const build = want.os === 'windows' ? rankBuild(want['os.version'], offer['os.version']) : 0;
  if (build < 0) return -1;
  const { architecture, variant = '' } = offer;
  const found = compatible(want).findIndex(([a, v]) => a === architecture && v === variant);
  return found < 0 ? -1 : found * MAX_BUILDS + build;
}

/** More than builds can differ by: the architecture counts first. */
const MAX_BUILDS = 2 ** 24;

type Variant = readonly [architecture: string, variant: string];

/** Everything that runs on a normalised platform, best first: containerd's `platforms.Only`. */
function compatible({ architecture, variant = '' }: Platform): readonly Variant[] {
  const exact: Variant = [architecture, variant];
  switch (architecture) {
    case 'amd64':
      return [exact, ...older('amd64', variant, 2).map(unversioned), ['386', '']];
    case 'arm':
      return [exact, ...older('arm', variant, 6)];
    case 'arm64':
      return [exact, ...olderArm64(variant), ['arm', 'v8'], ...older('arm', 'v8', 6)];
    default:
      return [exact];
  }
}

/** `v7` with `last` 6: v6 and v5. */
function older(architecture: string, variant: string, last: number): Variant[] {
  const version = /^v(\d)$/.test(variant) ? Number(variant.slice(1)) : 0;
  return Array.from(
    { length: Math.max(0, version - last + 1) },
    (_, index): Variant => [architecture, `v${version - 1 - index}`],
  );
}

/** amd64/v1 is written without its variant. */
const unversioned = ([architecture, variant]: Variant): Variant => [
  architecture,
  variant === 'v1' ? '' : variant,
];

/** v9.x contains v8.(x+5), and each minor version the ones before it. */
function olderArm64(variant: string): Variant[] {
  const [, major, minor = '0'] = /^v([89])(?:\.(\d))?$/.exec(variant) ?? [];
  if (major === undefined) return [];
  const down = (version: string, from: number): Variant[] =>
    Array.from({ length: from + 1 }, (_, index): Variant => {
      const rest = from - index;
      if (rest > 0) return ['arm64', `v${version}.${rest}`];
      return ['arm64', version === '8' ? '' : `v${version}`];
    });
  const own = down(major, Number(minor)).slice(1);
  return major === '9' ? [...own, ...down('8', Number(minor) + 5)] : own;
}
