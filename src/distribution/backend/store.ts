import { openContentStore } from '../../content/file-store.ts';
import type { Database } from '../../db/database.ts';
import { openDatabase } from '../../db/open.ts';
import { RepositoryRows } from '../../db/repositories.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest } from '../../oci/digest.ts';
import type { ContentId, RegistryBackend, RegistryWriter } from './backend.ts';
import { ServedImages } from './images.ts';
import { PushWriter } from './pushed.ts';

export interface StoreBackendOptions {
  /** Whether pushes are taken. */
  readonly writable?: boolean | undefined;
  /** Brings dropped blobs back. Default: by their recipes alone. */
  readonly restore?: ((target: Descriptor) => Promise<void>) | undefined;
}

export interface StoreBackend extends RegistryBackend, AsyncDisposable {}

export interface WritableStoreBackend extends StoreBackend {
  readonly writer: RegistryWriter;
}

/**
 * A store as a registry: its images, and what was pushed to it. Both share the store's blobs.
 *
 * What was pushed is not an image of the store: it is unpacked where it is pulled to. It comes
 * first where both have the same name.
 */
export function storeBackend(
  root: string,
  options: StoreBackendOptions & { readonly writable: true },
): Promise<WritableStoreBackend>;
export function storeBackend(root: string, options?: StoreBackendOptions): Promise<StoreBackend>;
export async function storeBackend(
  root: string,
  { writable = false, restore = recreating(root) }: StoreBackendOptions = {},
): Promise<StoreBackend> {
  await using opened = new AsyncDisposableStack();
  const db = opened.use(await openStoreDatabase(root, writable));
  const content = opened.use(await openContentStore(db));
  const images = new ServedImages(db);
  const rows = new RepositoryRows(db);
  const writer = writable
    ? opened.use(await PushWriter.open({ db, content, images, restore }))
    : undefined;
  const close = opened.move();
  const at = <Found extends ContentId>(
    found: Found | undefined,
  ): (Found & { path: string }) | undefined =>
    found && Object.assign(found, { path: content.path(found.digest) });
  return {
    writer,
    repositories: async () => [...new Set([...rows.names(), ...images.repositories()])],
    async tags(repository) {
      const [pushed, pulled] = [rows.tags(repository), images.tags(repository)];
      if (pulled === undefined && !rows.has(repository)) return undefined;
      return [...new Set([...pushed, ...(pulled ?? [])])];
    },
    async manifest(repository, reference) {
      const digest = isDigest(reference) ? reference : rows.tagged(repository, reference);
      const pushed = digest && rows.manifest(repository, digest);
      return at(pushed) ?? at(pick(images.manifest(repository, reference)));
    },
    blob: async (repository, digest) =>
      at(rows.blob(repository, digest)) ?? at(pick(images.blob(repository, digest))),
    restore: (blob) => restore(asTarget(blob)),
    referrers: async (repository, subject) =>
      rows.referrers(repository, subject).map((found) => at(found)!),
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  };
}

const asTarget = ({ digest, size }: ContentId): Descriptor => ({
  digest,
  size,
  mediaType: 'application/octet-stream',
});

/** Each time with the store opened for writing: a server that only reads has it open for reading. */
const recreating =
  (root: string) =>
  async (target: Descriptor): Promise<void> => {
    using db = await openDatabase(root);
    await using content = await openContentStore(db);
    await content.restore(target);
  };

/** Reading takes no lock; but a store that is made later can only be seen if it is made now. */
async function openStoreDatabase(root: string, writable: boolean): Promise<Database> {
  const db = await openDatabase(root, { readonly: !writable });
  if (db.exists) return db;
  db[Symbol.dispose]();
  return openDatabase(root);
}

/** What is served of a descriptor: a copy, without what its document says beside it. */
function pick(
  found: { digest: ContentId['digest']; size: number; mediaType: string } | undefined,
): { digest: ContentId['digest']; size: number; mediaType: string } | undefined {
  if (found === undefined) return undefined;
  const { digest, size, mediaType } = found;
  return { digest, size, mediaType };
}
