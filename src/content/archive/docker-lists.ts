import { chooseImage } from '../../oci/choose-platform.ts';
import { parseImageConfig } from '../../oci/config.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { algorithmOf, type Digest, hexOf } from '../../oci/digest.ts';
import { artifactTypeOf, parseIndex, parseManifest } from '../../oci/manifest.ts';
import { isIndex } from '../../oci/media-type.ts';
import { familiar, formatReference } from '../../oci/reference.ts';
import type { NamedImage } from './write-archive.ts';

/** Where a layout, and so an archive, has a blob. */
export const blobPath = (digest: Digest): string => `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;

interface Entry {
  readonly Config: string;
  readonly RepoTags: string[] | null;
  readonly Layers: readonly string[];
  readonly LayerSources: Readonly<Record<string, Descriptor>>;
}

/**
 * The lists that Docker reads: `manifest.json`, and `repositories` for versions before 1.10. Of an
 * index, the image for this machine is listed, or else the first that the archive has.
 *
 * @param documents - manifests, indexes and configs of the archive
 */
export function dockerLists(
  images: readonly NamedImage[],
  documents: ReadonlyMap<Digest, Uint8Array>,
): Record<string, string> {
  const entries = new Map<Digest, Entry>();
  const repositories: Record<string, Record<string, string>> = {};
  for (const { target, name } of images) {
    const manifest = imageOf(target, documents);
    const entry = manifest && (entries.get(manifest.digest) ?? entryOf(manifest, documents));
    if (entry === undefined) continue;
    const named = typeof name === 'object' ? name : undefined;
    // In full, as podman writes them: it takes short ones for names of its own.
    const tags = named
      ? [...(entry.RepoTags ?? []), formatReference({ ...named, digest: undefined })]
      : entry.RepoTags;
    entries.set(manifest!.digest, { ...entry, RepoTags: tags });
    if (!named) continue;
    const repository = familiar({ ...named, tag: undefined, digest: undefined });
    const top = entry.Layers.at(-1)?.split('/').at(-1) ?? '';
    repositories[repository] = { ...repositories[repository], [named.tag]: top };
  }
  return {
    'manifest.json': JSON.stringify([...entries.values()]),
    ...(Object.keys(repositories).length > 0 && { repositories: JSON.stringify(repositories) }),
  };
}

/** The manifest that stands for `target`; `undefined`: none that Docker could load. */
function imageOf(
  target: Descriptor,
  documents: ReadonlyMap<Digest, Uint8Array>,
): Descriptor | undefined {
  const bytes = documents.get(target.digest);
  if (bytes === undefined || !isIndex(target.mediaType)) return bytes && target;
  const here = parseIndex(bytes, target.mediaType).manifests.filter(({ digest }) =>
    documents.has(digest),
  );
  const chosen = chooseImage(here);
  return chosen && imageOf(chosen, documents);
}

function entryOf(
  { digest, mediaType }: Descriptor,
  documents: ReadonlyMap<Digest, Uint8Array>,
): Entry | undefined {
  const manifest = parseManifest(documents.get(digest)!, mediaType);
  const config = documents.get(manifest.config.digest);
  if (config === undefined || artifactTypeOf(manifest) !== undefined) return undefined;
  const { diff_ids: diffIds } = parseImageConfig(config).rootfs;
  const sources = manifest.layers.map(
    ({ mediaType: type, size, digest: layer }, at): [string, Descriptor] => [
      diffIds[at] ?? layer,
      { mediaType: type, size, digest: layer },
    ],
  );
  return {
    Config: blobPath(manifest.config.digest),
    RepoTags: null,
    Layers: manifest.layers.map((layer) => blobPath(layer.digest)),
    LayerSources: Object.fromEntries(sources),
  };
}
