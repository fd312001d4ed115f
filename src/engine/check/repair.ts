import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { listImages } from '../../db/images.ts';
import type { Source } from '../../content/content.ts';
import { syncStore } from '../../db/sync.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { type LayerRecord, LayerRows } from '../../snapshot/layer-rows.ts';
import { descriptorOf, originSource, repositories } from '../blobs/origins.ts';
import type { Finding, CheckProblem } from './check.ts';
import type { Context, Store } from '../context.ts';
import { physicalLayers } from '../images.ts';
import { needsOf } from '../space/roots.ts';

/**
 * Mends what can be mended without losing anything: a blob is fetched again from where an image
 * came from, a layer is unpacked again from its blob. No image is ever removed.
 */
export async function repair(
  context: Context,
  findings: readonly Finding[],
  options: Abortable,
): Promise<CheckProblem[]> {
  const store = await context.store();
  const origin = originSource(store.db, () => context.registry());
  const problems: CheckProblem[] = [];
  const blobs = findings.filter(({ digest, kind }) => digest !== undefined && kind !== 'orphan');
  const rest = findings.filter((found) => !blobs.includes(found));
  for (const found of [...blobs, ...rest]) {
    const { kind, subject, message } = found;
    try {
      const repaired = await mend({ context, store, origin }, found, options);
      problems.push({ kind, subject, message, repaired });
    } catch (error) {
      if (options.signal?.aborted || !(error instanceof MicaError)) throw error;
      problems.push({
        kind,
        subject,
        message: `${message}; repair failed: ${error.message}`,
        repaired: false,
      });
    }
  }
  return problems;
}

interface Means {
  readonly context: Context;
  readonly store: Store;
  /** Where blobs were pulled from. */
  readonly origin: Source;
}

async function mend(means: Means, found: Finding, options: Abortable): Promise<boolean> {
  const { context, store } = means;
  if (found.kind === 'orphan')
    return found.digest !== undefined && (await store.content.delete(found.digest)) > 0;
  if (found.digest !== undefined) return await fetchAgain(means, found.digest, options);
  if (found.layer !== undefined) return await unpackAgain(context, store, found.layer, options);
  return false;
}

/** From the repositories that an image with this blob was pulled from, by digest. */
async function fetchAgain(
  { store, origin }: Means,
  digest: Digest,
  options: Abortable,
): Promise<boolean> {
  using lease = store.leases.open(`check --repair ${digest}`);
  lease.hold('blob', [digest]);
  const target = descriptorOf(store.db, digest);
  if (target === undefined || repositories(store.db)(digest).length === 0)
    throw new MicaError('NOT_FOUND', `no image says where ${digest} came from`);
  store.db.transaction(() => store.content.condemn([digest]));
  await store.content.delete(digest);
  await store.content.push(
    target,
    (offset) => origin.fetch(target, { offset, signal: options.signal }),
    options,
  );
  await syncStore(store.db);
  store.db.transaction(() => store.content.ready([digest]), { durable: true });
  return true;
}

/** Beside the broken one, and then in its place: what is mounted from the old directory keeps it. */
async function unpackAgain(
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
  const trash = join(store.db.root, 'layers', '.trash');
  const fresh = `${layer.directory}.repair`;
  mkdirSync(trash, { recursive: true });
  const discard = (path: string): void =>
    renameSync(path, join(trash, `repair-${randomBytes(6).toString('hex')}`));
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
    discard(layer.directory);
    renameSync(fresh, layer.directory);
    await syncStore(store.db);
    await store.layers.replaced(layer.id, { ...made, stats: { ...made.stats } });
    return true;
  } catch (error) {
    discard(fresh);
    throw error;
  } finally {
    await store.layers.purge();
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
