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

/** Where this blob was pulled from, as part of an image, which may have gone since it was dropped. */
export function repositoriesOf(db: Database, digest: Digest): string[] {
  const images = listImages(db).flatMap((record) =>
    imageOrigins(record).filter(({ target }) => target.digest === digest),
  );
  const remembered = new DroppedRows(db).find(digest)?.origins ?? [];
  return [...new Set([...images.map(({ repository }) => repository), ...remembered])];
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

/** Blobs of the store from where they were pulled, one repository after the other. */
export function originSource(db: Database, open: () => Promise<Registry>): Source {
  return {
    async *fetch(target: Descriptor, options: FetchOptions = {}): Bytes {
      let failure: unknown = new MicaError(
        'NOT_FOUND',
        `blob ${target.digest} is not in the store, and no image says where it came from`,
      );
      let offset = options.offset ?? 0;
      for (const repository of repositoriesOf(db, target.digest))
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
