import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { listImages } from '../../db/images.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { algorithmOf, chainIds, type Digest, sha256 } from '../../oci/digest.ts';
import { parseImageConfig } from '../../oci/config.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { checkPairs } from './check-pairs.ts';
import { layersOf, listLayers } from '../../snapshot/chain.ts';
import type { LayerRecord } from '../../snapshot/layer-rows.ts';
import { holdLayers } from '../../snapshot/trees.ts';
import { storedLayer } from '../../union/stored.ts';
import { openUnion } from '../../union/union.ts';
import { errnoOf } from '../../sys/errno.ts';
import type { Context, Store } from '../context.ts';
import { strays } from './strays.ts';
import { RecipeRows } from '../../content/recipe/recipe-rows.ts';
import { repositories } from '../blobs/origins.ts';
import { layerTar } from '../../windows/layer-tar.ts';
import { repair } from './repair.ts';
import { needsOf } from '../space/roots.ts';

export interface CheckOptions extends Abortable {
  readonly repair?: boolean;
  readonly onProgress?: (event: { readonly done: number; readonly total: number }) => void;
}

export interface CheckReport {
  readonly blobs: number;
  readonly layers: number;
  readonly images: number;
  readonly problems: readonly CheckProblem[];
}

export interface CheckProblem {
  readonly kind: string;
  readonly subject: string;
  readonly message: string;
  readonly repaired: boolean;
}

/** What is wrong, before anybody tries to mend it. */
export type Finding = Omit<CheckProblem, 'repaired'> & {
  readonly digest?: Digest;
  readonly layer?: LayerRecord;
};

/**
 * Verifies blobs against their digests, layers against their index and tar, images against both,
 * and looks for what nobody knows.
 * @see Engine.check
 */
export async function check(context: Context, options: CheckOptions = {}): Promise<CheckReport> {
  const store = await (options.repair ? context.store() : context.readableStore());
  const listing = {
    blobs: () => Array.fromAsync(store.content.list()),
    layers: () =>
      listLayers(store.db).filter(({ state }) => state === 'ready' || state === 'built'),
    images: () => listImages(store.db),
  };
  const [blobs, layers, images] = [await listing.blobs(), listing.layers(), listing.images()];
  const total = blobs.length + layers.length + images.length;
  let done = 0;
  const step = (): void => {
    options.signal?.throwIfAborted();
    options.onProgress?.({ done: ++done, total });
  };
  const ofBlobs = await examine(blobs, {
    look: ({ digest, size }) => checkBlob(store, digest, size, options),
    nameOf: ({ digest }) => digest,
    now: listing.blobs,
    step,
  });
  const damaged = new Set(ofBlobs.map(({ subject }) => subject));
  const findings = [
    ...ofBlobs,
    ...(await examine(layers, {
      look: (layer) => checkLayer(store, layer, options),
      nameOf: ({ id }) => String(id),
      now: listing.layers,
      step,
    })),
    ...(await examine(images, {
      look: async (image) => {
        const found = await checkImage(store, image);
        return found.length > 0 ? found : checkPairs(store, image, { ...options, damaged });
      },
      nameOf: ({ id }) => id,
      now: listing.images,
      step,
    })),
  ];
  findings.push(...(await strays(store)), ...waitingIn(store));
  const problems = options.repair
    ? await repair(context, findings, options)
    : findings.map(({ kind, subject, message }) => ({ kind, subject, message, repaired: false }));
  return { blobs: blobs.length, layers: layers.length, images: images.length, problems };
}

interface Examination<T> {
  readonly look: (one: T) => Promise<Finding[] | Finding | undefined>;
  readonly nameOf: (one: T) => string;
  /** What the store has by then. */
  readonly now: () => readonly T[] | Promise<readonly T[]>;
  readonly step: () => void;
}

/**
 * What others take away or bring back meanwhile is not damaged: what seems to be, and is still in
 * the store, is looked at again.
 */
async function examine<T>(
  those: readonly T[],
  { look, nameOf, now, step }: Examination<T>,
): Promise<Finding[]> {
  const suspects = new Set<string>();
  for (const one of those) {
    if ([(await look(one)) ?? []].flat().length > 0) suspects.add(nameOf(one));
    step();
  }
  if (suspects.size === 0) return [];
  const again: Finding[] = [];
  for (const one of await now())
    if (suspects.has(nameOf(one))) again.push(...[(await look(one)) ?? []].flat());
  return again;
}

async function checkBlob(
  { content }: Store,
  digest: Digest,
  size: number,
  { signal }: Abortable,
): Promise<Finding | undefined> {
  const wrong = (message: string): Finding => ({ kind: 'blob', subject: digest, message, digest });
  const hash = createHash(algorithmOf(digest));
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(content.path(digest), {
      highWaterMark: 1 << 20,
      signal,
    })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return wrong(
      errnoOf(error) === 'ENOENT'
        ? 'the file is missing'
        : `the file cannot be read: ${String(error)}`,
    );
  }
  if (bytes !== size) return wrong(`the file has ${bytes} bytes instead of ${size}`);
  const actual = hash.digest('hex');
  return digest.endsWith(actual)
    ? undefined
    : wrong(`the file hashes to ${algorithmOf(digest)}:${actual}`);
}

/** The index against its recorded checksum; the tar against its diffID, or every file of the tree against the index. */
async function checkLayer(
  { db }: Store,
  layer: LayerRecord,
  options: Abortable,
): Promise<Finding | undefined> {
  const { directory, facts, form } = layer;
  const wrong = (message: string): Finding => ({
    kind: 'layer',
    subject: directory,
    message,
    layer,
  });
  if (facts === undefined) return undefined;
  try {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(directory, 'index.erofs'), {
      highWaterMark: 1 << 20,
    }))
      hash.update(chunk as Buffer);
    if (!facts.indexDigest.endsWith(hash.digest('hex')))
      return wrong('the index is not the one that was written');
    if (form === 'tar') return await checkTar(tarFile(directory), layer, wrong);
    if (form === 'windows') return await checkTar(layerTar(directory, options), layer, wrong);
    await using _ = await holdLayers(db, [layer.id]);
    return await checkFiles(layer, wrong, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    return wrong(error instanceof Error ? error.message : String(error));
  }
}

const tarFile = (directory: string): AsyncIterable<Buffer> =>
  createReadStream(join(directory, 'layer.tar'), { highWaterMark: 1 << 20 });

async function checkTar(
  tar: AsyncIterable<Uint8Array>,
  { facts }: LayerRecord,
  wrong: (message: string) => Finding,
): Promise<Finding | undefined> {
  const hash = createHash(algorithmOf(facts!.diffId));
  for await (const chunk of tar) hash.update(chunk);
  return facts!.diffId.endsWith(hash.digest('hex'))
    ? undefined
    : wrong('its archive is not the one that was unpacked');
}

async function checkFiles(
  { directory, form }: LayerRecord,
  wrong: (message: string) => Finding,
  { signal }: Abortable,
): Promise<Finding | undefined> {
  const { compareWithIndex } = await import('./compare-layer.ts');
  await using tree = openUnion([storedLayer(directory, form)]);
  const difference = await compareWithIndex(tree, join(directory, 'fs'), signal);
  return difference === undefined ? undefined : wrong(difference);
}

async function checkImage(
  { content, db }: Store,
  record: Parameters<typeof needsOf>[0],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const wrong = (message: string): Finding => ({ kind: 'image', subject: record.id, message });
  try {
    if (sha256(record.config) !== record.id)
      findings.push(wrong('its config is not what its ID says'));
    const { blobs, chain } = needsOf(record);
    for (const { descriptor, document } of record.manifests) {
      if (sha256(document) !== descriptor.digest && descriptor.digest.startsWith('sha256:'))
        findings.push(wrong(`its manifest is not ${descriptor.digest}`));
      for (const target of parseManifest(document, descriptor.mediaType).layers)
        if (content.isDropped(target.digest)) {
          const message = checkDropped(db, target.digest);
          if (message !== undefined) findings.push({ ...wrong(message), digest: target.digest });
        } else if (!(await content.has(target)))
          findings.push({
            ...wrong(`the blob ${target.digest} is missing`),
            digest: target.digest,
          });
    }
    for (const digest of blobs)
      if (
        !existsSync(content.path(digest)) &&
        !content.isDropped(digest) &&
        !findings.some((found) => found.digest === digest)
      )
        findings.push({ ...wrong(`the blob ${digest} is missing`), digest });
    const top = chain.at(-1);
    if (
      top !== undefined &&
      layersOf(db, top).length !== chainIds(parseImageConfig(record.config).rootfs.diff_ids).length
    )
      findings.push(wrong('it has not all of its layers'));
  } catch (error) {
    if (!(error instanceof MicaError)) throw error;
    findings.push(wrong(error.message));
  }
  return findings;
}

/**
 * A dropped blob is well if its recipe is the one that was proven (the tar is checked with its
 * layer), or if it can be fetched. @returns what is wrong
 */
function checkDropped(db: Store['db'], digest: Digest): string | undefined {
  try {
    if (new RecipeRows(db).find(digest) !== undefined) return undefined;
  } catch (error) {
    if (!(error instanceof MicaError)) throw error;
    return error.message;
  }
  return repositories(db)(digest).length > 0
    ? undefined
    : `the blob ${digest} was dropped, and can neither be made again nor fetched`;
}

/** Every opening tries again: there is nothing to be repaired but what they lie in. */
const waitingIn = ({ layers }: Store): Finding[] =>
  layers.waiting.map(({ driver, reason, layers: count }) => ({
    kind: 'removal',
    subject: driver,
    message: `${count === 1 ? 'a removed layer waits' : `${count} removed layers wait`} until it can be reached: ${reason}`,
  }));
