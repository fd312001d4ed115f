import { createReadStream } from 'node:fs';
import type { Source } from '../../content/content.ts';
import { MicaError } from '../../errors.ts';
import { applyChanges } from '../../image/changes.ts';
import { composeImage } from '../../image/compose.ts';
import { withoutProgramCompression } from '../../io/by-program.ts';
import type { Bytes } from '../../io/bytes.ts';
import { OCI_LAYER } from '../../oci/media-type.ts';
import { hostPlatform } from '../../oci/platform.ts';
import { parseReference, type Reference, withDefaults } from '../../oci/reference.ts';
import { fromNode } from '../../sys/errno.ts';
import type { Context } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { checkWindowsLayer } from '../derive/windows-layer.ts';
import { bringImage } from '../publish/bring-image.ts';
import { layerOfBlob } from '../publish/layer-of-blob.ts';
import type { Streamed } from './load.ts';
import type { ImportOptions } from './transfer.ts';

/** @see Engine.import */
export async function importTar(
  context: Context,
  from: string | URL | Streamed,
  name: string | undefined,
  options: ImportOptions = {},
): Promise<StoredImage> {
  const { signal, changes = [], platform = hostPlatform() } = options;
  const reference = name === undefined ? undefined : nameOf(name);
  const described = nameOfSource(from);
  const defaults = applyChanges({}, changes);
  try {
    const store = await context.store();
    using lease = store.leases.open(`import ${described}`);
    // A layer is gzip, zstd or nothing.
    const bytes = withoutProgramCompression(await bytesOf(context, from, options), { signal });
    const stored = await store.content.ingest(bytes, OCI_LAYER, { signal });
    // Until the image holds it; a collection leaves alone what has just arrived.
    lease.hold('blob', [stored.digest]);
    const layer = await layerOfBlob(store, stored, options);
    if (platform.os === 'windows')
      await checkWindowsLayer(layer, described, { signal, isBase: true });
    const created = new Date().toISOString();
    const comment = options.message ?? `Imported from ${described}`;
    const { os, architecture, variant, 'os.version': version } = platform;
    const composed = composeImage(
      {
        created,
        architecture,
        ...(variant !== undefined && { variant }),
        os,
        ...(version !== undefined && { 'os.version': version }),
        config: defaults,
        rootfs: { type: 'layers', diff_ids: [layer.diffId] },
        history: [{ created, comment }],
      },
      [layer],
    );
    const { image } = await bringImage(
      context,
      {
        ...composed,
        source: store.content satisfies Source,
        target: composed.image.descriptor,
        purpose: `import ${described}`,
        names: reference === undefined ? [] : [reference],
        repositories: [],
      },
      options,
    );
    return image;
  } catch (thrown) {
    const error = fromNode(thrown);
    if (signal?.aborted || !(error instanceof MicaError)) throw error;
    throw new MicaError(error.code, `import ${described}: ${error.message}`, { cause: error });
  }
}

function nameOf(name: string): Reference {
  const reference = withDefaults(parseReference(name));
  if (reference.digest === undefined) return reference;
  throw new MicaError('INVALID_ARGUMENT', `import as ${name}: leave out the digest`);
}

const nameOfSource = (from: string | URL | Streamed): string =>
  from instanceof URL
    ? `${from.origin}${from.pathname}`
    : typeof from === 'string'
      ? from
      : from.name;

async function bytesOf(
  context: Context,
  from: string | URL | Streamed,
  { signal }: ImportOptions,
): Promise<Bytes> {
  if (from instanceof URL) return (await context.registry()).download(from, { signal });
  if (typeof from !== 'string') return from.bytes;
  return fileBytes(from);
}

/** Opened when it is read: a stream that fails before anybody listens ends the process. */
async function* fileBytes(path: string): Bytes {
  yield* createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Uint8Array>;
}
