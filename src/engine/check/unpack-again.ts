import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../../db/database.ts';
import { listImages } from '../../db/images.ts';
import { syncStore } from '../../db/sync.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { type LayerRecord, LayerRows } from '../../snapshot/layer-rows.ts';
import { holdWhenFree } from '../../sys/alive.ts';
import { errnoOf } from '../../sys/errno.ts';
import type { Context, Store } from '../context.ts';
import { physicalLayers } from '../images.ts';
import { needsOf } from '../space/roots.ts';

/** What a layer's directory is called until it takes the place of the broken one: `<n>.repair`. */
export const UNFINISHED = '.repair';

/** Held by who makes a layer again: what is unfinished while nobody holds it was left by who was killed. */
export const repairLock = ({ root }: Database): string => join(root, 'repair.lock');

/** Beside the broken one, and then in its place: what is mounted from the old directory keeps it. */
export async function unpackAgain(
  context: Context,
  store: Store,
  layer: LayerRecord,
  options: Abortable,
): Promise<boolean> {
  if (!new LayerRows(store.db).isUsed(layer.id)) return await forget(store, layer);
  const place = placeOf(store, layer);
  if (place === undefined || layer.facts === undefined || layer.form === 'direct')
    throw new MicaError(
      'FAILED_PRECONDITION',
      `layer ${layer.id} cannot be made again by itself; remove the images that use it and pull them again`,
    );
  using _lock = await holdWhenFree(repairLock(store.db), options.signal);
  const fresh = `${layer.directory}${UNFINISHED}`;
  discard(store, fresh);
  mkdirSync(fresh);
  try {
    const unpacker = await context.unpacker();
    const { target, parents } = place;
    await store.content.restore(target, options);
    const { digest: _, ...made } = await unpacker.unpack(
      {
        blob: store.content.path(target.digest),
        size: target.size,
        digest: target.digest,
        mediaType: target.mediaType,
        diffId: layer.facts.diffId,
        form: layer.form,
        directory: fresh,
        parents: parents.map(({ directory, form, facts }) => ({
          directory,
          form,
          diffId: facts!.diffId,
        })),
      },
      { signal: options.signal },
    );
    discard(store, layer.directory);
    renameSync(fresh, layer.directory);
    await syncStore(store.db);
    await store.layers.replaced(layer.id, { ...made, stats: { ...made.stats } });
    return true;
  } catch (error) {
    discard(store, fresh);
    throw error;
  } finally {
    await store.layers.purge();
  }
}

/** Of a repair that was killed. @returns whether it was that */
export async function removeLeft(
  store: Store,
  path: string,
  { signal }: Abortable,
): Promise<boolean> {
  if (!path.endsWith(UNFINISHED)) return false;
  using _ = await holdWhenFree(repairLock(store.db), signal);
  discard(store, path);
  await store.layers.purge();
  return true;
}

/** Moves a directory to where the removed ones are, if it is there. */
function discard({ db }: Store, path: string): void {
  const trash = join(db.root, 'layers', '.trash');
  mkdirSync(trash, { recursive: true, mode: 0o700 });
  try {
    renameSync(path, join(trash, `repair-${randomBytes(6).toString('hex')}`));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** What nothing stands on is made again when it is needed: by a pull, or for a migration. */
async function forget({ db, layers }: Store, { id }: LayerRecord): Promise<boolean> {
  db.transaction(() => layers.condemn([id]), { durable: true });
  await layers.delete(id);
  await layers.purge();
  return true;
}

/** An image that has the layer: its blob, and the layers below, nearest first. */
function placeOf(
  { db }: Store,
  { id }: LayerRecord,
): { target: Descriptor; parents: LayerRecord[] } | undefined {
  for (const record of listImages(db)) {
    const chain = physicalLayers(db, needsOf(record).chain.at(-1));
    const at = chain.findIndex((one) => one.id === id);
    const [manifest] = record.manifests;
    if (at < 0 || manifest === undefined) continue;
    const { layers } = parseManifest(manifest.document, manifest.descriptor.mediaType);
    return { target: layers[at]!, parents: chain.slice(0, at).toReversed() };
  }
  return undefined;
}
