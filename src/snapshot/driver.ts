import type { Abortable, Bytes } from '../io/bytes.ts';
import type { DiffId, Digest } from '../oci/digest.ts';
import type { Mount, SharedMount } from '../sys/mount-data.ts';

/**
 * One storage technology. A driver knows physical ids and their parents; it has
 * never heard of names, labels, digests, images or containers.
 *
 * Every method is idempotent — the snapshotter repeats whatever a crash cut
 * short — and none of them mounts anything.
 */
export interface Driver extends AsyncDisposable {
  /** As `docker info` prints it: `overlay2`, `btrfs`, … */
  readonly name: string;
  /** How the engine's unpacker must lay a layer's files down for this driver. */
  readonly form: LayerForm;
  /** A tree begins as a copy of its parent's, which may take as much room again. Absent: it shares what it has of it. */
  readonly copies?: true;
  /** Of how many different layers it shows a stack; deeper ones are refused by {@link mounts}. Absent: of any number. */
  readonly depth?: number;
  /** Allocates storage for `snapshot`, showing the content of its parents. */
  create(snapshot: Snapshot, options?: CreateOptions): Promise<void>;
  /**
   * Freezes what was written, so that others can build on it. Absent: nothing to do. If this fails,
   * the snapshot is active again, and what was written is still there.
   * @param snapshot - with the parents that it will have
   * @returns what is known of the layer now, if sealing made a tar and an index of it
   */
  seal?(snapshot: Snapshot): Promise<LayerFacts | undefined>;
  /**
   * Freezes a committed snapshot when somebody else has put its files in place, durably. Its tree is
   * not held any more. Absent: nothing to do.
   */
  filled?(snapshot: Snapshot): Promise<void>;
  /** Takes away everything `snapshot` owns, at once; its space may come back only with {@link purge}. */
  remove(snapshot: Snapshot): Promise<void>;
  /** Frees the space of all that was removed. Absent: {@link remove} has freed it. */
  purge?(options?: Abortable): Promise<void>;
  /**
   * How to make the tree visible. At least one; in the order they must be performed. Absent: it
   * cannot be mounted, only read through the union in user space.
   */
  mounts?(snapshot: Snapshot): Promise<readonly Mount[]>;
  /**
   * Makes now what {@link mounts} of a snapshot on committed ones (ids, nearest first) would have to
   * make. That does it if this fails. Absent: there is nothing to make.
   */
  anticipate?(parents: readonly string[]): Promise<void>;
  /**
   * Where trees are file systems of their own: the mount that shows the one of `snapshot`, on a mount
   * point that `layers/<id>/fs` is a link to. Whoever fills or reads a tree there holds it mounted
   * (`holdTree`); {@link release} ends it. Absent: the tree simply lies there.
   * @param access - `rw` to fill a committed snapshot from outside
   */
  tree?(snapshot: Snapshot, access: 'ro' | 'rw'): Promise<SharedMount>;
  /**
   * Takes away the shared mounts (`Mount.target`) that no mount of a snapshot in `mountable()` names;
   * one that is in use otherwise stays. `mountable` is asked while no stack can be mounted, so that
   * its answer holds until the mounts are gone. Absent: there are no shared mounts.
   */
  release?(mountable: () => readonly Snapshot[]): Promise<void>;
  /** Storage owned by `snapshot` alone, parents excluded. */
  usage(snapshot: Snapshot, options?: Abortable): Promise<Usage>;
  /** Docker's `GraphDriver.Data`: low-level facts for people, never for programs. */
  inspect(snapshot: Snapshot): Promise<Readonly<Record<string, string>>>;
  /** What `docker info` prints below a driver's name: facts about what it works on, for people. */
  status?(): Promise<Readonly<Record<string, string>>>;

  /** Union file systems only: where this snapshot's own changes lie. Lets apply and diff work without mounting. */
  upper?(snapshot: Snapshot): Upper | undefined;
  /** A faster or only way in (erofs image straight from tar, Windows layer import). Absent: unpack generically. */
  apply?(snapshot: Snapshot, tar: Bytes): Promise<void>;
  /**
   * Where a tree differs from that of its parent, which it began with: everything else is surely the
   * same. Absent, or `undefined`: that is not known, the trees have to be compared.
   */
  touched?(snapshot: Snapshot, options?: Abortable): Promise<Touched | undefined>;
  /** A faster or only way out. Absent: compare with the parent generically. */
  diff?(snapshot: Snapshot): Bytes;
}

/**
 * How a driver keeps a layer's files:
 *  - `overlay`: a directory of the layer's own, whiteouts as 0:0 devices, opaque as `trusted.overlay.opaque`
 *  - `userxattr`: the same for an overlay mounted with `userxattr` (`user.overlay.opaque`)
 *  - `aufs`: the same, spelled as in the archive, which AUFS and fuse-overlayfs read: files `.wh.<name>` and `.wh..wh..opq`
 *  - `direct`: applied onto a directory that already holds the parents' files; whiteouts delete
 *  - `tar`: nothing is extracted, the uncompressed tar is kept as `layer.tar`
 *  - `windows`: the transport format of Windows' layers, from which the archive can be made again
 */
export type LayerForm = 'overlay' | 'userxattr' | 'aufs' | 'direct' | 'tar' | 'windows';

/** Whether a layer belongs to the stack that it was made in, and cannot be shared by other stacks. */
export const isOfChain = (form: LayerForm): boolean => form === 'direct' || form === 'windows';

/** The physical side of a snapshot. */
export interface Snapshot {
  readonly id: string;
  /** `committed`, when it is created: an unpacked layer, whose files somebody else puts in place. */
  readonly kind: SnapshotKind;
  /** Ids of committed snapshots, nearest first. */
  readonly parents: readonly string[];
}

/** What is known about a layer that was unpacked from a tar, or packed into one. */
export interface LayerFacts {
  readonly diffId: DiffId;
  /** Its tree depends on the layers below it: it is kept per chainID. */
  readonly dependent: boolean;
  /** Uncompressed tar, in bytes. */
  readonly tarSize: number;
  readonly indexSize: number;
  /** sha256 of `index.erofs`. */
  readonly indexDigest: Digest;
  /** Counts and sums by name. */
  readonly stats: Readonly<Record<string, number>>;
}

/**
 * Writes `layer.tar` and `index.erofs` into the existing `directory`, durably, from what an upper
 * directory holds. Idempotent: once both are there, the upper directory is not looked at any more,
 * and may be gone. Given to drivers of form `tar`, which freeze what was written with it.
 */
export type Pack = (upper: Upper, directory: string, options?: PackOptions) => Promise<LayerFacts>;

export interface PackOptions extends Abortable {
  /**
   * Directories of the layers below, nearest first, each with its `index.erofs` and its `layer.tar`
   * or `fs/`: what is as they have it is left out. `undefined`: not known, everything is kept.
   */
  readonly parents?: readonly string[] | undefined;
}

export interface Touched {
  /** What may differ in a directory. @param path - from the root of the tree, a byte string */
  within(path: string): TouchedNames;
}

export interface TouchedNames {
  /** What is there and may differ, in byte order. */
  readonly names: readonly string[];
  /** Whether something that the parent has there may be gone. */
  readonly mayLack: boolean;
}

export interface Upper {
  readonly path: string;
  /**
   * How a deletion is spelled in there: `userxattr` is an overlay mounted so, whose marks are in
   * `user.` xattrs; what else has such an xattr has it by a container's own wish.
   */
  readonly whiteouts: 'overlay' | 'userxattr' | 'fuse-overlayfs' | 'aufs';
}

export type SnapshotKind = 'active' | 'view' | 'committed';

export interface CreateOptions extends Abortable {
  /** Upper bound of the writable layer in bytes. Drivers without quota reject it with `NOT_IMPLEMENTED`. */
  readonly maxSize?: number | undefined;
}

export interface Usage {
  /** In bytes. */
  readonly size: number;
  readonly inodes: number;
}
