import type { FetchOptions, Source } from '../../content/content.ts';
import type { Image } from '../../image/image.ts';
import { loadImage } from '../../image/load.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Platform } from '../../oci/platform.ts';

/** An image as a registry has it: its documents, all verified; its layers not fetched. */
export interface RemoteImage {
  readonly image: Image;
  /** Indexes, manifest and config, as they were fetched. */
  readonly documents: readonly { readonly target: Descriptor; readonly bytes: Uint8Array }[];
}

/** Reads the documents that `target` leads to on `platform`, each fetched once. */
export async function loadRemoteImage(
  source: Source,
  target: Descriptor,
  options: Abortable & { readonly platform?: Platform | undefined },
): Promise<RemoteImage> {
  const documents = new Map<Digest, { target: Descriptor; bytes: Uint8Array }>();
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
