import type { FetchOptions, Source } from '../../content/content.ts';
import type { Database } from '../../db/database.ts';
import { type ImageRecord, listImages } from '../../db/images.ts';
import { MicaError } from '../../errors.ts';
import type { Bytes } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { parseReference } from '../../oci/reference.ts';
import type { Registry } from '../../registry/registry.ts';

/** A repository from which a blob came, as part of an image. */
export interface BlobOrigin {
  readonly repository: string;
  readonly target: Descriptor;
}

/** Where images with this blob were pulled from. */
export const originsOf = (db: Database, digest: Digest): BlobOrigin[] =>
  listImages(db).flatMap((record) =>
    imageOrigins(record).filter(({ target }) => target.digest === digest),
  );

/** Everything that an image consists of, with the repositories that each was pulled from. */
export function imageOrigins({ manifests, repoDigests }: ImageRecord): BlobOrigin[] {
  return repoDigests.flatMap(({ repository, manifest, target }) => {
    const found = manifests.find(({ descriptor }) => descriptor.digest === manifest);
    if (found === undefined) return [{ repository, target }];
    const { config, layers } = parseManifest(found.document, found.descriptor.mediaType);
    return [target, found.descriptor, config, ...layers].map((one) => ({
      repository,
      target: one,
    }));
  });
}

/** Blobs of the store from where they were pulled, one repository after the other. */
export function originSource(db: Database, open: () => Promise<Registry>): Source {
  return {
    async *fetch(target: Descriptor, options: FetchOptions = {}): Bytes {
      const origins = originsOf(db, target.digest);
      let failure: unknown = new MicaError(
        'NOT_FOUND',
        `blob ${target.digest} is not in the store, and no image says where it came from`,
      );
      let offset = options.offset ?? 0;
      for (const { repository } of origins)
        try {
          const from = (await open()).repository(parseReference(repository));
          for await (const chunk of from.fetch(target, { signal: options.signal, offset })) {
            offset += chunk.byteLength;
            yield chunk;
          }
          return;
        } catch (error) {
          if (options.signal?.aborted || !(error instanceof MicaError)) throw error;
          failure = error;
        }
      throw failure;
    },
  };
}
