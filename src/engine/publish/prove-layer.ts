import { createHash } from 'node:crypto';
import { verified } from '../../content/verify.ts';
import { isProven, recordProof } from '../../db/proven-layers.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { decompress } from '../../io/compress.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { algorithmOf, type DiffId, hexOf } from '../../oci/digest.ts';
import type { Store } from '../context.ts';

export interface ProveOptions extends Abortable {
  /** Called with the number of bytes of the tar that were seen. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/**
 * Sees to it that the blob `target` of the store inflates to the tar `diffId`: by what was written down
 * when that was seen first, else by inflating it now.
 * @throws DATA_LOSS when it does not
 */
export async function proveLayer(
  { db, content }: Pick<Store, 'db' | 'content'>,
  { target, diffId }: { readonly target: Descriptor; readonly diffId: DiffId },
  { signal, onProgress }: ProveOptions = {},
): Promise<void> {
  const { digest, mediaType } = target;
  if (isProven(db, digest, diffId)) return;
  const algorithm = algorithmOf(diffId);
  const hash = createHash(algorithm);
  let bytes = 0;
  const stored = verified(content.fetch(target, { signal }), target);
  for await (const chunk of decompress(stored, { signal, mediaType })) {
    hash.update(chunk);
    onProgress?.((bytes += chunk.byteLength));
  }
  const actual = hash.digest('hex');
  if (actual !== hexOf(diffId))
    throw new MicaError(
      'DATA_LOSS',
      `layer ${digest}: its tar hashes to ${algorithm}:${actual}, not to the diffID ${diffId} that the config claims`,
    );
  recordProof(db, digest, diffId);
}
