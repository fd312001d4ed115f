import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { openContentStore } from '../../content/file-store.ts';
import { hostPlatform, type Platform } from '../../oci/platform.ts';
import { chainIds, type DiffId, type Digest } from '../../oci/digest.ts';
import { formatReference, parseReference, withDefaults } from '../../oci/reference.ts';
import { LayerRows } from '../../snapshot/layer-rows.ts';
import { freeSpace } from '../../sys/features.ts';
import type { Context } from '../context.ts';
import type { PullOptions } from './pull.ts';
import { readImage } from '../publish/read-image.ts';
import type { Descriptor } from '../../oci/descriptor.ts';

export interface PullPlan {
  readonly reference: string;
  readonly target: Descriptor;
  readonly platform: Platform;
  readonly layers: readonly PlannedLayer[];
  /** In bytes. */
  readonly fetch: number;
  /** Bytes that need not be fetched: whole blobs and partial downloads. */
  readonly present: number;
  /** Estimate of the disk space that the pull needs, in bytes. `undefined` parts of it are unknown until unpacked. */
  readonly disk: number;
  readonly free: number;
}

export interface PlannedLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly state: 'missing' | 'partial' | 'blob' | 'unpacked';
  /** Bytes of a partial download that are already here. */
  readonly have: number;
}

/** An unpacked layer takes about this many times its compressed size; only unpacking tells. */
const INFLATED = 3;

/** @see Engine.plan */
export async function plan(
  context: Context,
  text: string,
  options: PullOptions = {},
): Promise<PullPlan> {
  const reference = withDefaults(parseReference(text));
  const repository = (await context.registry()).repository(reference);
  const target = await repository.resolve(reference.digest ?? reference.tag ?? 'latest', options);
  const { image } = await readImage(repository, target, options);
  const db = await context.reading();
  await using content = await openContentStore(db);
  const partials = new Map<Digest, number>();
  if (db.exists)
    for await (const { digest, size } of content.partials()) partials.set(digest, size);
  const unpacked = unpackedLayers(new LayerRows(db).all());
  const chain = chainIds(image.config.rootfs.diff_ids);
  const layers: PlannedLayer[] = [];
  for (const [at, { descriptor, diffId }] of image.layers.entries()) {
    const isUnpacked = unpacked.has(diffId) || unpacked.has(chain[at]!);
    const here =
      (await content.has(descriptor)) || (isUnpacked && content.isDropped(descriptor.digest));
    const have = here ? descriptor.size : (partials.get(descriptor.digest) ?? 0);
    const state = here ? (isUnpacked ? 'unpacked' : 'blob') : have > 0 ? 'partial' : 'missing';
    layers.push({ descriptor, diffId, state, have });
  }
  const unique = [...new Map(layers.map((layer) => [layer.descriptor.digest, layer])).values()];
  const fetch = unique.reduce((sum, { descriptor, have }) => sum + descriptor.size - have, 0);
  const unpacking = unique.filter(({ state }) => state !== 'unpacked');
  return {
    reference: formatReference(reference),
    target,
    platform: platformOf(image.config, options.platform),
    layers,
    fetch,
    present: unique.reduce((sum, { have }) => sum + have, 0),
    disk: fetch + unpacking.reduce((sum, { descriptor }) => sum + descriptor.size * INFLATED, 0),
    free: freeSpace(nearestExisting(context.config.root)).bytes,
  };
}

const unpackedLayers = (
  rows: readonly { state: string; key: string | null }[],
): Set<DiffId | string> =>
  new Set(
    rows.flatMap(({ state, key }) =>
      key !== null && (state === 'ready' || state === 'built') ? [key] : [],
    ),
  );

function platformOf(config: Platform, wanted: Platform | undefined): Platform {
  if (config.architecture === '') return wanted ?? hostPlatform();
  const { os, architecture, variant } = config;
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}
