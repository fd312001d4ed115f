import type { FetchOptions, Source } from '../../content/content.ts';
import { DroppedRows } from '../../content/dropped-rows.ts';
import type { Database } from '../../db/database.ts';
import { type ImageRecord, listImages, type ManifestRecord } from '../../db/images.ts';
import { MicaError } from '../../errors.ts';
import type { Bytes } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { parseReference } from '../../oci/reference.ts';
import type { Registry } from '../../registry/registry.ts';

/** A repository from which a blob came, as part of an image. */
interface BlobOrigin {
  readonly repository: string;
  readonly target: Descriptor;
}

/**
 * Where blobs were pulled from, as parts of images, which may have gone since a blob was dropped.
 * Reads the manifests of all images, once.
 */
export function repositories(db: Database): (digest: Digest) => string[] {
  const found = new Map<Digest, Set<string>>();
  for (const { repository, target } of listImages(db).flatMap(imageOrigins))
    found.set(target.digest, (found.get(target.digest) ?? new Set()).add(repository));
  const dropped = new DroppedRows(db);
  return (digest) => [
    ...new Set([...(found.get(digest) ?? []), ...(dropped.find(digest)?.origins ?? [])]),
  ];
}

/** The descriptor by which some image has this blob. */
export const descriptorOf = (db: Database, digest: Digest): Descriptor | undefined =>
  listImages(db)
    .flatMap(({ manifests, repoDigests }) =>
      manifests.flatMap(contentsOf).concat(repoDigests.map(({ target }) => target)),
    )
    .find((target) => target.digest === digest);

function contentsOf({ descriptor, document }: ManifestRecord): Descriptor[] {
  const { config, layers } = parseManifest(document, descriptor.mediaType);
  return [descriptor, config, ...layers];
}

/** Everything that an image consists of, with the repositories that each was pulled from. */
export function imageOrigins({ manifests, repoDigests }: ImageRecord): BlobOrigin[] {
  return repoDigests.flatMap(({ repository, manifest, target }) => {
    const found = manifests.find(({ descriptor }) => descriptor.digest === manifest);
    const targets = [target, ...(found ? contentsOf(found) : [])];
    return targets.map((one) => ({ repository, target: one }));
  });
}

/** How long a registry that could not be reached is not asked again, in milliseconds. */
const PAUSE = 60_000;

/**
 * Blobs of the store from where they were pulled, one repository after the other. To find out that a
 * registry cannot be reached takes long: for many blobs it is done once.
 */
export function originSource(db: Database, open: () => Promise<Registry>): Source {
  const gone = new Map<string, { readonly until: number; readonly error: MicaError }>();
  return {
    async *fetch(target: Descriptor, { signal, offset = 0 }: FetchOptions = {}): Bytes {
      let failure = new MicaError(
        'NOT_FOUND',
        `blob ${target.digest} is not in the store, and no image says where it came from`,
      );
      let at = offset;
      for (const repository of repositories(db)(target.digest)) {
        const reference = parseReference(repository);
        const { domain } = reference;
        try {
          const known = gone.get(domain);
          if (known !== undefined && known.until > performance.now()) throw known.error;
          gone.delete(domain);
          const from = (await open()).repository(reference);
          for await (const chunk of from.fetch(target, { signal, offset: at })) {
            at += chunk.byteLength;
            yield chunk;
          }
          return;
        } catch (error) {
          if (signal?.aborted || !(error instanceof MicaError)) throw error;
          if (error.code === 'UNAVAILABLE' && !gone.has(domain))
            gone.set(domain, { error, until: performance.now() + PAUSE });
          failure = new MicaError(
            error.code,
            `blob ${target.digest} is not in the store, and cannot be had from ${repository}: ${error.message}`,
            { cause: error },
          );
        }
      }
      throw failure;
    },
  };
}
