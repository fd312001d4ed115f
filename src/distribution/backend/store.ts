import { join } from 'node:path';
import { openContentStore } from '../../content/file-store.ts';
import type { Database } from '../../db/database.ts';
import { listImages } from '../../db/images.ts';
import { openDatabase } from '../../db/open.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import { parseReference, repositoryOf } from '../../oci/reference.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { isIndex } from '../../oci/media-type.ts';
import type { RegistryBackend, StoredBlob, StoredManifest } from './backend.ts';
import { directoryBackend } from './directory.ts';

export interface StoreBackendOptions {
  /** Whether pushes are taken. They are kept in `<root>/registry`, beside the images of the store. */
  readonly writable?: boolean | undefined;
}

/**
 * The images of a store as a registry, and what was pushed to it.
 *
 * `docker.io/library/redis:latest` is served as `library/redis`, as `redis` and as
 * `docker.io/library/redis`; an image of any other registry by its path, and with its domain in
 * front where the grammar of repositories allows it. What was pushed comes first.
 */
export async function storeBackend(
  root: string,
  { writable = false }: StoreBackendOptions = {},
): Promise<RegistryBackend & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const db = opened.use(await openDatabase(root, { readonly: !writable }));
  const content = opened.use(await openContentStore(db));
  const images = new StoreImages(db, (digest) => content.path(digest));
  const pushed = writable ? opened.use(await directoryBackend(join(root, 'registry'))) : undefined;
  const close = opened.move();
  const first = async <T>(
    ask: (backend: RegistryBackend) => Promise<T | undefined>,
  ): Promise<T | undefined> => (pushed && (await ask(pushed))) ?? (await ask(images));
  return {
    repositories: async () => [
      ...new Set([...((await pushed?.repositories()) ?? []), ...(await images.repositories())]),
    ],
    async tags(repository) {
      const [mine, theirs] = [await pushed?.tags(repository), await images.tags(repository)];
      return mine || theirs ? [...new Set([...(mine ?? []), ...(theirs ?? [])])] : undefined;
    },
    manifest: (repository, reference) =>
      first((backend) => backend.manifest(repository, reference)),
    blob: (repository, digest) => first((backend) => backend.blob(repository, digest)),
    referrers: async (repository, subject) => (await pushed?.referrers(repository, subject)) ?? [],
    writer: pushed?.writer,
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  };
}

interface Served {
  readonly tags: ReadonlyMap<string, Descriptor>;
  readonly manifests: ReadonlyMap<Digest, Descriptor>;
  readonly blobs: ReadonlyMap<Digest, Descriptor>;
}

class StoreImages implements RegistryBackend {
  readonly #db: Database;
  readonly #path: (digest: Digest) => string;

  constructor(db: Database, path: (digest: Digest) => string) {
    this.#db = db;
    this.#path = path;
  }

  async repositories(): Promise<string[]> {
    return [...new Set(this.#names().map((name) => shortest(name)))];
  }

  async tags(repository: string): Promise<string[] | undefined> {
    const served = this.#served(repository);
    return served && [...served.tags.keys()];
  }

  async manifest(repository: string, reference: string): Promise<StoredManifest | undefined> {
    const served = this.#served(repository);
    const found = isDigest(reference)
      ? served?.manifests.get(reference)
      : served?.tags.get(reference);
    if (found === undefined) return undefined;
    const { digest, size, mediaType } = found;
    return { digest, size, mediaType, path: this.#path(digest) };
  }

  async blob(repository: string, digest: Digest): Promise<StoredBlob | undefined> {
    const found = this.#served(repository)?.blobs.get(digest);
    return found && { digest, size: found.size, path: this.#path(digest) };
  }

  async referrers(): Promise<StoredManifest[]> {
    return [];
  }

  /** Full names of the repositories that the store has images of. */
  #names(): string[] {
    const rows = this.#db.all<{ name: string }>(
      'select distinct repository as name from repo_digest',
    );
    const tagged = this.#db
      .all<{ name: string }>('select name from reference')
      .map(({ name }) => repositoryOf(parseReference(name)));
    return [...new Set([...rows.map(({ name }) => name), ...tagged])].toSorted();
  }

  #served(repository: string): Served | undefined {
    const full = this.#fullName(repository);
    if (full === undefined) return undefined;
    const served = {
      tags: new Map<string, Descriptor>(),
      manifests: new Map<Digest, Descriptor>(),
      blobs: new Map<Digest, Descriptor>(),
    };
    for (const { manifests, references, repoDigests } of listImages(this.#db)) {
      const tags = references
        .map((row) => ({ row, parsed: parseReference(row.name) }))
        .filter(({ parsed }) => repositoryOf(parsed) === full);
      const digests = repoDigests.filter((row) => row.repository === full);
      if (tags.length === 0 && digests.length === 0) continue;
      for (const { descriptor, document } of manifests) {
        served.manifests.set(descriptor.digest, descriptor);
        const { config, layers } = parseManifest(document, descriptor.mediaType);
        for (const blob of [config, ...layers]) served.blobs.set(blob.digest, blob);
      }
      for (const { target } of digests) served.manifests.set(target.digest, target);
      // An index names images of other platforms, which are not here: the image itself is served.
      for (const { row, parsed } of tags) {
        const own = manifests.find(
          ({ descriptor }) => descriptor.digest === row.manifest,
        )?.descriptor;
        if (parsed.tag !== undefined && own)
          served.tags.set(parsed.tag, isIndex(row.target.mediaType) ? own : row.target);
      }
    }
    return served;
  }

  /** The repository that a client means. A path that several domains have is docker.io's, else the first one's. */
  #fullName(repository: string): string | undefined {
    const names = this.#names();
    const meant = names.includes(repository) ? repository : normalised(repository);
    if (meant !== undefined && names.includes(meant)) return meant;
    return names.find((name) => name.slice(name.indexOf('/') + 1) === repository);
  }
}

/** As a command line would read it: `redis` is `docker.io/library/redis`. */
function normalised(repository: string): string | undefined {
  try {
    return repositoryOf(parseReference(repository));
  } catch {
    return undefined;
  }
}

const shortest = (name: string): string => name.slice(name.indexOf('/') + 1);
