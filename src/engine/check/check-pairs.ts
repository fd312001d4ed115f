import type { ImageRecord } from '../../db/images.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { parseImageConfig } from '../../oci/config.ts';
import { parseManifest } from '../../oci/manifest.ts';
import type { Store } from '../context.ts';
import { proveLayer } from '../publish/prove-layer.ts';
import type { Finding } from './check.ts';

interface PairOptions extends Abortable {
  /** Digests of blobs that are not what they should be: that is told already. */
  readonly damaged: ReadonlySet<string>;
}

/**
 * Whether the blobs of an image, whose documents are well, inflate to the tars that its config names.
 * What was seen once is not looked at again.
 */
export async function checkPairs(
  store: Store,
  { id, config, manifests }: Pick<ImageRecord, 'id' | 'config' | 'manifests'>,
  { damaged, signal }: PairOptions,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const diffIds = parseImageConfig(config).rootfs.diff_ids;
  for (const { descriptor, document } of manifests)
    for (const [at, target] of parseManifest(document, descriptor.mediaType).layers.entries()) {
      const diffId = diffIds[at];
      if (diffId === undefined || damaged.has(target.digest)) continue;
      if (store.content.isDropped(target.digest)) continue;
      try {
        await proveLayer(store, { target, diffId }, { signal });
      } catch (error) {
        if (!(error instanceof MicaError)) throw error;
        findings.push({ kind: 'image', subject: id, message: error.message });
      }
    }
  return findings;
}
