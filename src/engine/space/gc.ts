import { dropBuildSteps } from '../../db/build-steps.ts';
import { deleteImage, listImages } from '../../db/images.ts';
import { forgetProofs } from '../../db/proven-layers.ts';
import { deleteRepoDigest } from '../../db/references.ts';
import { parseImageConfig } from '../../oci/config.ts';
import type { DiffId, Digest } from '../../oci/digest.ts';
import { type LayerRecord, LayerRows } from '../../snapshot/layer-rows.ts';
import { settleBlobs } from '../blobs/settle.ts';
import { sweep } from '../../container/remove.ts';
import { containerStore } from '../containers/store.ts';
import { LayerSizes } from './layers.ts';
import type { Context, Store } from '../context.ts';
import { forgetEnded } from '../mounts.ts';
import { reachable } from './roots.ts';
import type { Abortable } from '../../io/bytes.ts';

export interface GcOptions extends Abortable {
  readonly dryRun?: boolean;
}

export interface PruneOptions extends GcOptions {
  /** Every image without a container, not only untagged ones. */
  readonly all?: boolean;
  /** Only images that were created before. */
  readonly createdBefore?: Date;
  /** Only images with such labels. */
  readonly hasLabels?: (labels: Readonly<Record<string, string>> | undefined) => boolean;
  /** Partial downloads older than this go too, in milliseconds. Default: the store's policy. */
  readonly partialsOlderThan?: number;
}

export interface GcResult {
  readonly images: readonly string[];
  readonly blobs: readonly Digest[];
  readonly layers: readonly string[];
  readonly partials: readonly Digest[];
  readonly bytes: number;
}

/** Partial downloads are kept this long, in milliseconds: a week. */
const PARTIALS = 7 * 24 * 60 * 60 * 1000;

/** Steps of builds are kept this long after they were of use, in milliseconds: a week. */
const STEPS = 7 * 24 * 60 * 60 * 1000;

/** Later than everything. */
export const ALWAYS: Date = new Date(8.64e15);

/** @see Engine.gc */
export async function gc(context: Context, options: GcOptions = {}): Promise<GcResult> {
  const store = await context.store();
  await forgetEnded(store);
  if (!options.dryRun) await sweep(await containerStore(context));
  const result = await collect(store, { ...options, partialsOlderThan: PARTIALS });
  if (options.dryRun) return result;
  // What came back for a while goes again.
  const { dropped, bytes } = await settleBlobs(context, { ...options, prove: false });
  return { ...result, blobs: [...result.blobs, ...dropped], bytes: result.bytes + bytes };
}

/** @see Engine.prune */
export async function prune(context: Context, options: PruneOptions = {}): Promise<GcResult> {
  const store = await context.store();
  await forgetEnded(store);
  const { partialsOlderThan = PARTIALS } = options;
  const stepsBefore = options.all === true ? ALWAYS : new Date(Date.now() - STEPS);
  const images = (): Digest[] => unwanted(store, options);
  return collect(store, { ...options, images, partialsOlderThan, stepsBefore });
}

/** Forgets steps of builds that were not used since `usedBefore`, and collects. */
export async function collectBuilds(
  context: Context,
  usedBefore: Date = new Date(Date.now() - STEPS),
  options: GcOptions = {},
): Promise<GcResult> {
  const collecting = { partialsOlderThan: PARTIALS, stepsBefore: usedBefore };
  return collect(await context.store(), { ...options, ...collecting });
}

function unwanted(
  { db }: Store,
  { all = false, createdBefore, hasLabels = () => true }: PruneOptions,
): Digest[] {
  const used = new Set(
    db
      .all<{ image: string }>('select image from mount union select image from container')
      .map(({ image }) => image),
  );
  return listImages(db)
    .filter(({ id, references }) => (all || references.length === 0) && !used.has(id))
    .filter(({ config }) => {
      const { created = 0, config: defaults } = parseImageConfig(config);
      // One that does not say when is of 1970, as for the list of images.
      const time = new Date(created).getTime() || 0;
      const isOld = createdBefore === undefined || time < createdBefore.getTime();
      return isOld && hasLabels(defaults?.Labels);
    })
    .map(({ id }) => id);
}

interface Collecting extends GcOptions {
  /** Those that go. Asked in the transaction: until then others may name or use one. Default: none. */
  readonly images?: () => readonly Digest[];
  readonly partialsOlderThan: number;
  /** Steps of builds that were not used since go, too. */
  readonly stepsBefore?: Date;
}

class DryRun extends Error {}

/**
 * Condemns what nothing reaches in one transaction, then removes it. A pull that runs meanwhile
 * named what it needs in its lease before it looked, so nothing of it is taken.
 */
async function collect(store: Store, options: Collecting): Promise<GcResult> {
  const { db, content, layers } = store;
  let found: Condemned | undefined;
  try {
    db.transaction(
      () => {
        found = condemn(store, options);
        // What would go is known best by letting it go, and taking that back.
        if (options.dryRun) throw new DryRun();
      },
      // After a power loss no row may come back whose files are gone.
      { durable: true },
    );
  } catch (error) {
    if (!(error instanceof DryRun)) throw error;
  }
  const { images, blobs, unused } = found!;
  const partials = await expired(store, options);
  let bytes = partials.bytes;
  await using sizes = new LayerSizes(db);
  for (const layer of unused) bytes += await sizes.of(layer);
  bytes += blobs.reduce((sum, { size }) => sum + size, 0);
  if (!options.dryRun) {
    for (const { digest } of blobs) await content.delete(digest);
    for (const { id } of unused) await layers.delete(id);
    for (const digest of partials.digests) await content.discard(digest);
    await content.project();
    await layers.purge(options);
  }
  return {
    images,
    blobs: blobs.map(({ digest }) => digest),
    layers: unused.map(({ directory }) => directory),
    partials: partials.digests,
    bytes,
  };
}

interface Condemned {
  readonly images: readonly string[];
  readonly blobs: readonly { readonly digest: Digest; readonly size: number }[];
  readonly unused: readonly LayerRecord[];
}

/** In a transaction. */
function condemn(
  { db, leases, content, layers, snapshots }: Store,
  { images: choose = () => [], stepsBefore }: Collecting,
): Condemned {
  const images = choose();
  for (const id of images) {
    const record = listImages(db, [id])[0];
    if (record === undefined) continue;
    for (const { name } of record.references) db.run('delete from reference where name = ?', name);
    for (const digest of record.repoDigests) deleteRepoDigest(db, digest);
    deleteImage(db, id);
  }
  if (stepsBefore !== undefined) dropBuildSteps(db, stepsBefore);
  const roots = reachable(db);
  const used = new Set([...roots.blobs, ...leases.held('blob')]);
  const blobs = content.unused(used);
  content.condemn(blobs.map(({ digest }) => digest));
  content.forget(used);
  forgetProofs(db);
  const held = leases.held('layer');
  const committed = db
    .all<{ name: string }>(`select name from snapshot where kind = 'committed' and state = 'ready'`)
    .map(({ name }) => name)
    .filter((name) => !roots.chains.has(name) && !held.has(name));
  snapshots.forget(committed);
  const unused = withoutTars(
    db,
    layers.unused(new Set([...held, ...roots.layers])),
    content.tarsOfDropped(used),
  );
  layers.condemn(unused.map(({ id }) => id));
  return { images, blobs, unused };
}

/** Keeps the last tar of each of these layers: a blob is made from it. */
function withoutTars(
  db: Store['db'],
  unused: readonly LayerRecord[],
  tars: ReadonlySet<DiffId>,
): LayerRecord[] {
  const going = new Set(unused.map(({ id }) => id));
  const others = new LayerRows(db)
    .all()
    .filter(({ id, form, state }) => form === 'tar' && state === 'ready' && !going.has(id));
  const safe = new Set(others.map(({ diff_id }) => diff_id));
  return unused.filter(
    ({ form, facts }) =>
      form !== 'tar' || facts === undefined || !tars.has(facts.diffId) || safe.has(facts.diffId),
  );
}

async function expired(
  { content }: Store,
  { partialsOlderThan }: Collecting,
): Promise<{ digests: Digest[]; bytes: number }> {
  const digests: Digest[] = [];
  let bytes = 0;
  for await (const { digest, size, updatedAt, active } of content.partials()) {
    if (active || Date.now() - updatedAt.getTime() < partialsOlderThan) continue;
    digests.push(digest);
    bytes += size;
  }
  return { digests, bytes };
}
