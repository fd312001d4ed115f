import { listBuildSteps } from '../../db/build-steps.ts';
import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openContentStore } from '../../content/file-store.ts';
import { bootId } from '../../db/boot.ts';
import type { Database } from '../../db/database.ts';
import { LIMBO } from '../../db/limbo.ts';
import { listImages } from '../../db/images.ts';
import { pushedBlobs } from '../../db/repositories.ts';
import {
  type Inventory,
  type InventoryBlob,
  type InventoryLayer,
  type Ledger,
  ledger,
} from '../../explain/ledger.ts';
import type { Digest, DiffId } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { isIndex } from '../../oci/media-type.ts';
import { layerDirectory, LayerRows, layersDirectory } from '../../snapshot/layer-rows.ts';
import { awaitedLayers, migrationOf } from '../../snapshot/migration.ts';
import { SnapshotRows } from '../../snapshot/snapshot-rows.ts';
import type { Context } from '../context.ts';
import { containersOnDisk } from './containers.ts';
import { directorySize, fileSize } from './disk.ts';
import { errnoOf, fromNode } from '../../sys/errno.ts';
import { LayerSizes, type Unmeasured } from './layers.ts';
import { needsOf } from './roots.ts';

/** Sums are exact: every byte below the root is in exactly one leaf. */
export interface StoreUsage {
  readonly total: number;
  readonly images: readonly ImageUsage[];
  readonly blobs: readonly BlobUsage[];
  readonly layers: readonly LayerUsage[];
  readonly partials: readonly {
    readonly digest: Digest;
    readonly bytes: number;
    readonly active: boolean;
  }[];
  /** What each container has of its own: its writable layer, and its directory with the log. */
  readonly containers: readonly {
    readonly id: string;
    readonly name: string;
    /** ID of the image it stands on. */
    readonly image: Digest;
    readonly bytes: number;
  }[];
  /** Database, locks, projections, mounts. */
  readonly metadata: number;
  /** What `gc` would free now. */
  readonly reclaimable: number;
  /** What it will free later if nothing comes to use it: what an operation that has failed left less than a day ago. */
  readonly reclaimableLater: number;
  /** What a change of the storage driver has made that has not ended: among the layers that no image uses. */
  readonly migration?: { readonly driver: string; readonly bytes: number };
  /** Layers that are being removed, or wait until what they lie in can be reached: part of `metadata`. */
  readonly removals?: readonly Removals[];
  /** Layers and containers that are counted without their files, which are out of reach, and why. */
  readonly unmeasured?: readonly Unmeasured[];
}

export interface Removals {
  readonly driver: string;
  readonly layers: number;
  readonly bytes: number;
}

export interface ImageUsage {
  readonly id: Digest;
  readonly references: readonly string[];
  /** Bytes on disk of all it uses. */
  readonly total: number;
  /** Bytes only it uses: what removing it would free. */
  readonly exclusive: number;
  readonly shared: number;
}

export interface BlobUsage {
  readonly digest: Digest;
  readonly bytes: number;
  readonly kind: 'layer' | 'config' | 'manifest' | 'index' | 'other';
  /** Image IDs. */
  readonly usedBy: readonly Digest[];
}

export interface LayerUsage {
  readonly diffId: DiffId;
  readonly directory: string;
  /** On disk, index included. */
  readonly bytes: number;
  readonly usedBy: readonly Digest[];
}

/** @see Engine.usage */
export async function usage(context: Context): Promise<StoreUsage> {
  const db = await context.reading();
  if (db.exists) {
    const { sizes, unmeasured } = await sizesOf(db);
    const all = withMigration(db, ledger(await inventory(db, sizes)));
    const removals = removalsIn(db, sizes);
    return {
      ...all,
      ...(removals.length > 0 && { removals }),
      ...(unmeasured.length > 0 && { unmeasured }),
    };
  }
  return ledger({ images: [], blobs: [], layers: [], partials: [], containers: [], metadata: 0 });
}

/** Names what a change of the driver has made that has not ended. */
function withMigration(db: Database, all: Ledger): StoreUsage {
  const migration = migrationOf(db);
  if (migration === undefined) return all;
  const made = new Set(awaitedLayers(db).map((id) => layerDirectory(db, id)));
  const bytes = all.layers
    .filter(({ directory }) => made.has(directory))
    .reduce((sum, layer) => sum + layer.bytes, 0);
  return { ...all, migration: { driver: migration.driver, bytes } };
}

function removalsIn(db: Database, sizes: ReadonlyMap<number, number>): Removals[] {
  const going = new LayerRows(db).all().filter(({ state }) => state === 'removing');
  return [...Map.groupBy(going, ({ driver }) => driver)].map(([driver, rows]) => ({
    driver,
    layers: rows.length,
    bytes: rows.reduce((sum, { id }) => sum + (sizes.get(id) ?? 0), 0),
  }));
}

async function inventory(db: Database, sizes: ReadonlyMap<number, number>): Promise<Inventory> {
  await using content = await openContentStore(db);
  const kinds = kindsOf(db);
  const blobs: InventoryBlob[] = [];
  for await (const { digest } of content.list())
    blobs.push({
      digest,
      bytes: await fileSize(content.path(digest)),
      kind: kinds.get(digest) ?? 'other',
    });
  for await (const { digest } of content.orphans())
    blobs.push({ digest, bytes: await fileSize(content.path(digest)), kind: 'other' });
  const partials: Inventory['partials'][number][] = [];
  for await (const { digest, size, active } of content.partials())
    partials.push({ digest, bytes: size, active });
  const layers: InventoryLayer[] = [];
  for (const { id, diff_id, state } of new LayerRows(db).all())
    if (diff_id !== null && state !== 'removing')
      layers.push({
        diffId: diff_id,
        directory: layerDirectory(db, id),
        bytes: sizes.get(id) ?? 0,
      });
  const containers = await containersOnDisk(db, sizes);
  const counted = [...blobs, ...layers, ...partials, ...containers].reduce(
    (sum, { bytes }) => sum + bytes,
    0,
  );
  const total = await totalOf(db, sizes);
  return {
    images: imagesOf(db),
    blobs,
    layers,
    partials,
    containers,
    metadata: Math.max(0, total - counted),
    held: heldBy(db),
    young: youngIn(db),
  };
}

/** Of every layer, by number. */
async function sizesOf(
  db: Database,
): Promise<{ sizes: Map<number, number>; unmeasured: readonly Unmeasured[] }> {
  await using layers = new LayerSizes(db);
  const sizes = new Map<number, number>();
  for (const row of new LayerRows(db).all()) sizes.set(row.id, await layers.of(row));
  return { sizes, unmeasured: layers.unmeasured };
}

/** All layers, and everything else that is in the store. */
async function totalOf({ root }: Database, sizes: ReadonlyMap<number, number>): Promise<number> {
  const layers = layersDirectory(root);
  let total = sizes.values().reduce((sum, size) => sum + size, 0);
  for (const directory of [root, layers])
    for (const entry of entriesOf(directory)) {
      const path = join(directory, entry.name);
      const isCounted = directory === layers && sizes.has(Number(entry.name));
      if (path === layers || isCounted) continue;
      total += await (entry.isDirectory() ? directorySize(path) : fileSize(path));
    }
  return total;
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fromNode(error);
  }
}

function imagesOf(db: Database): Inventory['images'] {
  const snapshots = new SnapshotRows(db);
  return listImages(db).map((record) => {
    const { blobs, chain } = needsOf(record);
    const top = chain.at(-1);
    const row = top && snapshots.find(top);
    return {
      id: record.id,
      references: record.references.map(({ name }) => name),
      blobs,
      directories: snapshots.chain(row?.id ?? null).map((id) => layerDirectory(db, id)),
    };
  });
}

function kindsOf(db: Database): Map<Digest, InventoryBlob['kind']> {
  const kinds = new Map<Digest, InventoryBlob['kind']>();
  for (const { layer } of listBuildSteps(db))
    if (layer) kinds.set(layer.descriptor.digest, 'layer');
  for (const { manifests, references, repoDigests } of listImages(db)) {
    for (const { descriptor, document } of manifests) {
      const { config, layers } = parseManifest(document, descriptor.mediaType);
      for (const layer of layers) kinds.set(layer.digest, 'layer');
      kinds.set(config.digest, 'config');
      kinds.set(descriptor.digest, 'manifest');
    }
    for (const { target } of [...references, ...repoDigests])
      if (isIndex(target.mediaType)) kinds.set(target.digest, 'index');
  }
  return kinds;
}

/** What came or was built so lately that a garbage collection leaves it. */
function youngIn(db: Database): Set<string> {
  const since = Date.now() - LIMBO;
  const blobs = db.all<{ digest: string }>(
    `select digest from blob where state = 'arrived' and created >= ? and boot = ?`,
    since,
    bootId(),
  );
  const layers = db.all<{ id: number }>(
    `select id from layer where state = 'built' and created >= ?`,
    since,
  );
  return new Set([
    ...blobs.map(({ digest }) => digest),
    ...layers.map(({ id }) => layerDirectory(db, id)),
  ]);
}

/** What a garbage collection would leave although no image needs it. */
function heldBy(db: Database): Set<string> {
  const blobs = db.all<{ key: string }>(`select key from held where kind = 'blob'`);
  const layers = db.all<{ id: number }>(
    `select id from layer where state in ('building', 'active') or id in (select layer from snapshot where kind <> 'committed')`,
  );
  const made = listBuildSteps(db).flatMap(({ layer }) => layer ?? []);
  const kept = new Set(made.flatMap(({ diffId, chainId }) => [diffId, chainId]));
  const ofBuilds = new LayerRows(db).all().filter(({ key }) => key !== null && kept.has(key));
  return new Set([
    ...blobs.map(({ key }) => key),
    ...pushedBlobs(db),
    ...made.map(({ descriptor }) => descriptor.digest),
    ...ofBuilds.map(({ id }) => layerDirectory(db, id)),
    ...[...layers.map(({ id }) => id), ...awaitedLayers(db)].map((id) => layerDirectory(db, id)),
  ]);
}
