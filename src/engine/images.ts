import { type Database } from '../db/database.ts';
import { findImage, findImageIds, type ImageRecord, listImages } from '../db/images.ts';
import { findReference, findRepoDigests } from '../db/references.ts';
import { isCode, MicaError } from '../errors.ts';
import { parseImageConfig } from '../oci/config.ts';
import { type ChainId, chainIds, type Digest, isDigest } from '../oci/digest.ts';
import { parseManifest } from '../oci/manifest.ts';
import { formatReference, parseReference, repositoryOf, withDefaults } from '../oci/reference.ts';
import { layersOf } from '../snapshot/chain.ts';
import type { LayerRecord } from '../snapshot/layer-rows.ts';
import type { StoredImage, StoredLayer } from './stored-image.ts';

export interface RemoveOptions {
  readonly force?: boolean;
}

export interface RemoveResult {
  readonly untagged: readonly string[];
  /** Image ID, then chain IDs, as docker prints `Deleted:`. */
  readonly deleted: readonly string[];
}

/** An image as a name leads to it: a reference decides between manifests of the same image. */
export interface FoundImage {
  readonly record: ImageRecord;
  readonly manifest: Digest | undefined;
}

const PREFIX = /^(?:sha256:)?[0-9a-f]{4,64}$/;

/**
 * A reference comes first, as in docker; what looks like one but is not here may be an image ID.
 * @throws NOT_FOUND, or INVALID_ARGUMENT when an ID prefix fits several images
 */
export function findByName(db: Database, name: string): FoundImage {
  const found = findByReference(db, name) ?? findById(db, name);
  if (found !== undefined) return found;
  throw new MicaError(
    'NOT_FOUND',
    `no such image: ${name}; \`mica images\` lists what is here, \`mica pull ${name}\` fetches it`,
  );
}

function findByReference(db: Database, name: string): FoundImage | undefined {
  if (isDigest(name) || /^[0-9a-f]{64}$/.test(name)) return undefined;
  const reference = withDefaults(parseReference(name));
  const { digest, ...tagged } = reference;
  if (digest !== undefined) {
    const [first] = findRepoDigests(db, repositoryOf(reference), digest);
    return first && foundImage(db, first.image, first.manifest);
  }
  const row = findReference(db, formatReference(tagged));
  return row && foundImage(db, row.image, row.manifest);
}

function findById(db: Database, name: string): FoundImage | undefined {
  if (!PREFIX.test(name)) return undefined;
  const [first, second] = findImageIds(db, name);
  if (second !== undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `the image ID ${name} is ambiguous; give more of its digits`,
    );
  return first && foundImage(db, first, undefined);
}

function foundImage(
  db: Database,
  id: Digest,
  manifest: Digest | undefined,
): FoundImage | undefined {
  const record = findImage(db, id);
  return record && { record, manifest };
}

export const allImages = (db: Database): StoredImage[] =>
  listImages(db).map((record) => storedImage(db, { record, manifest: undefined }));

export function storedImage(db: Database, { record, manifest: wanted }: FoundImage): StoredImage {
  const manifest =
    record.manifests.find(({ descriptor }) => descriptor.digest === wanted) ?? record.manifests[0];
  if (manifest === undefined)
    throw new MicaError(
      'DATA_LOSS',
      `image ${record.id} has no manifest; \`mica check --repair\` may mend it`,
    );
  const parsed = parseManifest(manifest.document, manifest.descriptor.mediaType);
  const config = parseImageConfig(record.config);
  const chain = chainIds(config.rootfs.diff_ids);
  const physical = physicalLayers(db, chain.at(-1));
  const layers = parsed.layers.map((descriptor, at): StoredLayer => {
    const { directory, facts } = physical[at] ?? {};
    return {
      descriptor,
      diffId: config.rootfs.diff_ids[at]!,
      chainId: chain[at]!,
      tarSize: facts?.tarSize ?? 0,
      bytes: facts?.stats['bytes'] ?? 0,
      directory: directory ?? '',
      dependent: facts?.dependent ?? false,
    };
  });
  return {
    id: record.id,
    references: record.references.map(({ name }) => name).toSorted(),
    repoDigests: [
      ...new Set(record.repoDigests.map(({ repository, digest }) => `${repository}@${digest}`)),
    ].toSorted(),
    manifestDescriptor: manifest.descriptor,
    manifest: parsed,
    config,
    configBytes: record.config,
    layers,
    pulledAt: record.pulledAt,
    taggedAt: lastTagged(record),
    size: layers.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** The unpacked layers of a chain, base first; empty when this store has not unpacked it. */
export function physicalLayers(db: Database, top: ChainId | undefined): LayerRecord[] {
  try {
    return top === undefined ? [] : layersOf(db, top);
  } catch (error) {
    if (isCode(error, 'NOT_FOUND')) return [];
    throw error;
  }
}

/** Names in repositories that the image was not pulled from were given by hand. */
function lastTagged({ references, repoDigests }: ImageRecord): Date | undefined {
  const pulledFrom = new Set(repoDigests.map(({ repository }) => repository));
  const given = references.filter(
    ({ name }) => !pulledFrom.has(repositoryOf(parseReference(name))),
  );
  return given.map(({ updatedAt }) => updatedAt).toSorted((a, b) => b.getTime() - a.getTime())[0];
}
