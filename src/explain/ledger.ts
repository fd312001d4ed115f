import type { Digest, DiffId } from '../oci/digest.ts';

/** What the store consists of: measured sizes, and which images need what. */
export interface Inventory {
  readonly images: readonly InventoryImage[];
  readonly blobs: readonly InventoryBlob[];
  readonly layers: readonly InventoryLayer[];
  readonly partials: readonly LedgerPartial[];
  readonly containers: readonly LedgerContainer[];
  /** Everything else below the root, in bytes. */
  readonly metadata: number;
  /** Blobs and layer directories that something besides an image keeps: a lease, a snapshot. */
  readonly held?: ReadonlySet<string> | undefined;
  /** Blobs and layer directories so young that somebody may be about to name them. */
  readonly young?: ReadonlySet<string> | undefined;
}

export interface InventoryImage {
  readonly id: Digest;
  readonly references: readonly string[];
  /** Manifests, indexes, config and layers as stored. What is not in the store is passed over. */
  readonly blobs: readonly Digest[];
  /** Directories of its unpacked layers. */
  readonly directories: readonly string[];
}

export interface InventoryBlob {
  readonly digest: Digest;
  readonly bytes: number;
  readonly kind: 'layer' | 'config' | 'manifest' | 'index' | 'other';
}

export interface InventoryLayer {
  readonly diffId: DiffId;
  readonly directory: string;
  /** On disk, index included. */
  readonly bytes: number;
}

/** Sums are exact: every byte is in exactly one of `blobs`, `layers`, `partials`, `containers` and `metadata`. */
export interface Ledger {
  readonly total: number;
  readonly images: readonly LedgerImage[];
  readonly blobs: readonly (InventoryBlob & Used)[];
  readonly layers: readonly (InventoryLayer & Used)[];
  readonly partials: readonly LedgerPartial[];
  readonly containers: readonly LedgerContainer[];
  readonly metadata: number;
  /** What a garbage collection would free: what no image uses and nothing else holds. */
  readonly reclaimable: number;
  /** What it leaves because it is young, and frees some time later if nothing comes to use it. */
  readonly reclaimableLater: number;
}

interface Used {
  /** Image IDs. */
  readonly usedBy: readonly Digest[];
}

export interface LedgerImage {
  readonly id: Digest;
  readonly references: readonly string[];
  /** Bytes on disk of all it uses. */
  readonly total: number;
  /** Bytes only it uses: what removing it would free. */
  readonly exclusive: number;
  readonly shared: number;
}

export interface LedgerPartial {
  readonly digest: Digest;
  readonly bytes: number;
  readonly active: boolean;
}

export interface LedgerContainer {
  readonly id: string;
  readonly name: string;
  /** ID of the image it stands on, whose bytes are not counted here. */
  readonly image: Digest;
  /** Its writable layer and its own directory, on disk: what removing it would free. */
  readonly bytes: number;
}

/** Attributes every byte of a store: to one image alone, to several together, to a container, or to none. */
export function ledger(inventory: Inventory): Ledger {
  const { images, partials, containers, metadata, held = new Set(), young = new Set() } = inventory;
  const byBlob = usersOf(images, ({ blobs }) => blobs);
  const byDirectory = usersOf(images, ({ directories }) => directories);
  const blobs = inventory.blobs.map((blob) => ({ ...blob, usedBy: byBlob.get(blob.digest) ?? [] }));
  const layers = inventory.layers.map((layer) => ({
    ...layer,
    usedBy: byDirectory.get(layer.directory) ?? [],
  }));
  const free = [...blobs, ...layers].filter(
    (part) => part.usedBy.length === 0 && !held.has(nameOf(part)),
  );
  const later = sum(free.filter((part) => young.has(nameOf(part))));
  return {
    total: sum(blobs) + sum(layers) + sum(partials) + sum(containers) + metadata,
    images: perImage(images, [...blobs, ...layers], held),
    blobs,
    layers,
    partials,
    containers,
    metadata,
    reclaimable: sum(free) - later,
    reclaimableLater: later,
  };
}

/** The bytes that exactly one set of images uses together; `images: []` are used by none. */
export interface Share {
  readonly images: readonly Digest[];
  readonly bytes: number;
}

/** Blobs and layers by who uses them, largest first: together they are all of both. */
export function shares({ blobs, layers }: Pick<Ledger, 'blobs' | 'layers'>): Share[] {
  const groups = new Map<string, { images: readonly Digest[]; bytes: number }>();
  for (const { usedBy, bytes } of [...blobs, ...layers]) {
    const images = usedBy.toSorted();
    const key = images.join(' ');
    const group = groups.get(key);
    if (group) group.bytes += bytes;
    else groups.set(key, { images, bytes });
  }
  return [...groups.values()].sort((a, b) => b.bytes - a.bytes);
}

const sum = (items: readonly { readonly bytes: number }[]): number =>
  items.reduce((total, { bytes }) => total + bytes, 0);

function usersOf(
  images: readonly InventoryImage[],
  parts: (image: InventoryImage) => readonly string[],
): Map<string, Digest[]> {
  const users = new Map<string, Digest[]>();
  for (const image of images)
    for (const part of new Set(parts(image))) {
      const known = users.get(part);
      if (known) known.push(image.id);
      else users.set(part, [image.id]);
    }
  return users;
}

type Part = Used & {
  readonly bytes: number;
  readonly digest?: Digest;
  readonly directory?: string;
};

const nameOf = ({ digest, directory }: Pick<Part, 'digest' | 'directory'>): string =>
  digest ?? directory ?? '';

function perImage(
  images: readonly InventoryImage[],
  parts: readonly Part[],
  held: ReadonlySet<string>,
): LedgerImage[] {
  const totals = new Map(images.map(({ id }) => [id, { total: 0, exclusive: 0 }]));
  for (const part of parts) {
    const { bytes, usedBy } = part;
    const alone = usedBy.length === 1 && !held.has(nameOf(part));
    for (const id of usedBy) {
      const totalOf = totals.get(id)!;
      totalOf.total += bytes;
      if (alone) totalOf.exclusive += bytes;
    }
  }
  return images.map(({ id, references }) => {
    const { total, exclusive } = totals.get(id)!;
    return { id, references, total, exclusive, shared: total - exclusive };
  });
}
