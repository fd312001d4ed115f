import type { Database } from '../../db/database.ts';
import { type ImageRecord, listImages } from '../../db/images.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { isIndex } from '../../oci/media-type.ts';
import { parseReference, repositoryOf } from '../../oci/reference.ts';
import { isName } from '../router.ts';

/** One repository of images, as clients see it. */
interface Served {
  readonly tags: ReadonlyMap<string, Descriptor>;
  readonly manifests: ReadonlyMap<Digest, Descriptor>;
  readonly blobs: ReadonlyMap<Digest, Descriptor>;
}

const HUB = 'docker.io/';

/**
 * The images of a store as repositories.
 *
 * Every image has one name for certain: Docker Hub's without the domain (`library/redis`), others
 * with it, a port set off by `_` (`ghcr.io/a/b`, `127.0.0.1_5000/a`). Beside it go `redis` and
 * `docker.io/library/redis`, as on a command line, and a path without its domain while only one
 * domain has it.
 */
export class ServedImages {
  readonly #db: Database;
  /** Names and contents as of one state of the database. */
  #version: unknown;
  #names: ReadonlyMap<string, string> = new Map();
  #full: ReadonlySet<string> = new Set();
  readonly #served = new Map<string, Served>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** The names that are certain. */
  repositories(): string[] {
    this.#refresh();
    return [...this.#names.keys()];
  }

  tags(repository: string): string[] | undefined {
    const served = this.#find(repository);
    return served && [...served.tags.keys()];
  }

  manifest(repository: string, reference: string): Descriptor | undefined {
    const served = this.#find(repository);
    return isDigest(reference) ? served?.manifests.get(reference) : served?.tags.get(reference);
  }

  blob(repository: string, digest: Digest): Descriptor | undefined {
    return this.#find(repository)?.blobs.get(digest);
  }

  #find(repository: string): Served | undefined {
    this.#refresh();
    const full = this.#fullName(repository);
    if (full === undefined) return undefined;
    const known = this.#served.get(full);
    if (known) return known;
    const served = servedOf(full, listImages(this.#db));
    this.#served.set(full, served);
    return served;
  }

  /** Full name, e.g. `docker.io/library/redis`, of the repository that a client means. */
  #fullName(repository: string): string | undefined {
    const certain = this.#names.get(repository);
    if (certain !== undefined) return certain;
    const typed = this.#names.get(certainName(normalised(repository)));
    if (typed !== undefined) return typed;
    const others = [...this.#full].filter((full) => pathOf(full) === repository);
    return others.length === 1 ? others[0] : undefined;
  }

  /** Another connection, or another process, may have changed everything since the last request. */
  #refresh(): void {
    const { version } = this.#db.get<{ version: number }>(
      'select data_version as version from pragma_data_version',
    )!;
    if (version === this.#version) return;
    this.#served.clear();
    const rows = this.#db.all<{ name: string }>(
      'select name from reference union select repository from repo_digest',
    );
    this.#full = new Set(rows.map(({ name }) => repositoryOf(parseReference(name))));
    const names = [...this.#full].map((name) => [certainName(name), name] as const);
    this.#names = new Map(names.filter(([name]) => isName(name)));
    this.#version = version;
  }
}

const pathOf = (full: string): string => full.slice(full.indexOf('/') + 1);

const certainName = (full: string): string =>
  full.startsWith(HUB) ? pathOf(full) : full.replace(':', '_');

/** As a command line would read it: `redis` is `docker.io/library/redis`. */
function normalised(repository: string): string {
  try {
    return repositoryOf(parseReference(repository));
  } catch {
    return repository;
  }
}

function servedOf(full: string, images: readonly ImageRecord[]): Served {
  const served = {
    tags: new Map<string, Descriptor>(),
    manifests: new Map<Digest, Descriptor>(),
    blobs: new Map<Digest, Descriptor>(),
  };
  for (const { manifests, references, repoDigests } of images) {
    const tags = references
      .map((row) => ({ row, parsed: parseReference(row.name) }))
      .filter(({ parsed }) => repositoryOf(parsed) === full);
    const digests = repoDigests.filter(({ repository }) => repository === full);
    if (tags.length === 0 && digests.length === 0) continue;
    for (const { descriptor, document } of manifests) {
      served.manifests.set(descriptor.digest, descriptor);
      const { config, layers } = parseManifest(document, descriptor.mediaType);
      for (const blob of [config, ...layers]) served.blobs.set(blob.digest, blob);
    }
    for (const { target } of digests) served.manifests.set(target.digest, target);
    for (const { parsed, row } of tags) {
      const own = manifests.find(
        ({ descriptor }) => descriptor.digest === row.manifest,
      )?.descriptor;
      // An index names images of other platforms, which are not here: the image itself is served.
      if (parsed.tag !== undefined && own)
        served.tags.set(parsed.tag, isIndex(row.target.mediaType) ? own : row.target);
    }
  }
  return served;
}
