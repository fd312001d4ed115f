import type { FetchOptions, Source } from '../../content/content.ts';
import type { Document, Image } from '../../image/image.ts';
import { loadImage } from '../../image/load.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Platform } from '../../oci/platform.ts';

/** An image as a source has it: its documents, all verified; its layers not fetched. */
export interface ReadImage {
  readonly image: Image;
  /** Indexes, manifest and config, as they were fetched. */
  readonly documents: readonly Document[];
}

/** Reads the documents that `target` leads to on `platform`, each fetched once. */
export async function readImage(
  source: Source,
  target: Descriptor,
  options: Abortable & { readonly platform?: Platform | undefined },
): Promise<ReadImage> {
  const documents = new Map<Digest, Document>();
  const remembering: Source = {
    async *fetch(document: Descriptor, fetching?: FetchOptions): Bytes {
      const chunks: Uint8Array[] = [];
      for await (const chunk of source.fetch(document, fetching)) {
        chunks.push(chunk);
        yield chunk;
      }
      documents.set(document.digest, { target: document, bytes: Buffer.concat(chunks) });
    },
  };
  const image = await loadImage(remembering, target, options);
  return { image, documents: [...documents.values()] };
}
