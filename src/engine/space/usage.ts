import { listBuildSteps } from '../../db/build-steps.ts';
import { existsSync } from 'node:fs';
import { openContentStore } from '../../content/file-store.ts';
import type { Database } from '../../db/database.ts';
import { listImages } from '../../db/images.ts';
import { pushedBlobs } from '../../db/repositories.ts';
import {
  type Inventory,
  type InventoryBlob,
  type InventoryLayer,
  ledger,
} from '../../explain/ledger.ts';
import type { Digest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { isIndex } from '../../oci/media-type.ts';
import { layerDirectory, LayerRows } from '../../snapshot/layer-rows.ts';
import { awaitedLayers } from '../../snapshot/migration.ts';
import { SnapshotRows } from '../../snapshot/snapshot-rows.ts';
import type { Context } from '../context.ts';
import { containersOnDisk } from './containers.ts';
import { directorySize, fileSize } from './disk.ts';
import { outsideOf } from './outside.ts';
import type { StoreUsage } from '../engine.ts';
import { needsOf } from './roots.ts';

/** @see Engine.usage */
export async function usage(context: Context): Promise<StoreUsage> {
  const db = await context.reading();
  if (db.exists) return ledger(await inventory(db));
  return ledger({ images: [], blobs: [], layers: [], partials: [], containers: [], metadata: 0 });
}

async function inventory(db: Database): Promise<Inventory> {
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
  const outside = await outsideOf(db);
  const layers: InventoryLayer[] = [];
  for (const { id, diff_id } of new LayerRows(db).all()) {
    const directory = layerDirectory(db, id);
    if (diff_id === null) continue;
    const bytes = (await directorySize(directory)) + (outside.get(id) ?? 0);
    layers.push({ diffId: diff_id, directory, bytes });
  }
  const containers = await containersOnDisk(db, outside);
  const counted = [...blobs, ...layers, ...partials, ...containers].reduce(
    (sum, { bytes }) => sum + bytes,
    0,
  );
  const inside = existsSync(db.root) ? await directorySize(db.root) : 0;
  const total = outside.values().reduce((sum, bytes) => sum + bytes, inside);
  return {
    images: imagesOf(db),
    blobs,
    layers,
    partials,
    containers,
    metadata: Math.max(0, total - counted),
    held: heldBy(db),
  };
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
