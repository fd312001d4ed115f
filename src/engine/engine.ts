import type { Abortable, Bytes } from '../io/bytes.ts';
import type { ImageConfig } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { ChainId, DiffId, Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Platform } from '../oci/platform.ts';
import type { UnionTree } from '../union/tree.ts';
import type {
  AppendOptions,
  ConvertOptions,
  FlattenOptions,
  MutateOptions,
  RebaseOptions,
  RebaseResult,
  SquashOptions,
} from './derive/derive.ts';
import type { Containers } from './containers/containers.ts';
import type { MigrateOptions, Migration } from './migrate/migration.ts';
import type { LayerBlobsPolicy } from './config.ts';
import type {
  CopyOptions,
  CopyResult,
  ImportOptions,
  LoadedImage,
  LoadOptions,
  PushOptions,
  PushResult,
  SaveOptions,
} from './transfer/transfer.ts';

/** The use cases of the library: what the CLI's verbs, and later the daemon's routes, translate into. */
export interface Engine extends AsyncDisposable {
  /** Absolute path of the store. */
  readonly root: string;
  /** Name of the storage driver. Opens the store for writing, and makes it where there is none. */
  driver(): Promise<string>;

  /** Pulls, verifies, unpacks and names an image. Nothing of it is visible before all of it is durable. */
  pull(reference: string, options?: PullOptions): Promise<PullResult>;
  /** What {@link pull} would do: nothing is written. */
  plan(reference: string, options?: PullOptions): Promise<PullPlan>;
  /** Tags of the repository `reference` names, in the registry. */
  listRemoteTags(reference: string, options?: Abortable): AsyncIterable<string>;

  /**
   * Sends the image that `reference` names here to where it names it there: blobs first, what the
   * registry has not, and then the manifest with the tag.
   */
  push(reference: string, options?: PushOptions): Promise<PushResult>;
  /** Writes images into one archive, as they were pulled. A file is replaced when the new one is whole. */
  save(
    names: readonly string[],
    to: string | ((chunk: Uint8Array) => Promise<void>),
    options?: SaveOptions,
  ): Promise<void>;
  /**
   * Loads all images of an archive or image layout, one after the other. Nothing of an image is
   * visible before all of it is durable.
   */
  load(
    from: string | { readonly bytes: Bytes; readonly name: string },
    options?: LoadOptions,
  ): Promise<LoadedImage[]>;
  /** Makes an image of one layer of the tar of a file system: a file, an address of http(s), or bytes. */
  import(
    from: string | URL | { readonly bytes: Bytes; readonly name: string },
    reference: string | undefined,
    options?: ImportOptions,
  ): Promise<StoredImage>;
  /**
   * Copies an image between registries, image layouts, archives and the store, digest for digest:
   * `docker://redis:7`, `oci:DIRECTORY[:TAG]`, `oci-archive:FILE[:TAG]`,
   * `docker-archive:FILE[:NAME]`, `mica:NAME` or a plain name.
   */
  copy(from: string, to: string, options?: CopyOptions): Promise<CopyResult>;

  /** All images, newest first. */
  images(): Promise<StoredImage[]>;
  /**
   * @param name reference, image ID, unambiguous ID prefix (4 or more digits), or `name@digest`.
   * @throws NOT_FOUND, or INVALID_ARGUMENT when an ID prefix is ambiguous
   */
  image(name: string): Promise<StoredImage>;
  /** Adds the reference `target` to an image; it moves from another image if that had it. */
  tag(name: string, target: string): Promise<void>;
  /**
   * Removes a name, and the image with it when that was its last (docker's rules: an ID removes
   * all names only with `force`). Space is freed by the garbage collection that follows.
   */
  remove(name: string, options?: RemoveOptions): Promise<RemoveResult>;

  /**
   * Makes an image with layers on top: one for each archive (what is compressed keeps its digest)
   * or directory. The image itself stays.
   */
  append(name: string, sources: readonly string[], options?: AppendOptions): Promise<StoredImage>;
  /** Makes an image with other defaults, labels or annotations, of the same layers. */
  mutate(name: string, options?: MutateOptions): Promise<StoredImage>;
  /** Makes an image of the same layers, compressed otherwise, or with documents in another format. */
  convert(name: string, options?: ConvertOptions): Promise<StoredImage>;
  /**
   * Makes an image of the own layers of one on another base: nothing is built again.
   * @throws FAILED_PRECONDITION when that is not safe, unless forced
   */
  rebase(name: string, options?: RebaseOptions): Promise<RebaseResult>;
  /**
   * Makes an image in which the layers from `from` up are one: the same tree, the layers below
   * shared. The image itself stays.
   */
  squash(name: string, options?: SquashOptions): Promise<StoredImage>;
  /** Makes an image of one layer that shows the same tree, with the same defaults, without history. */
  flatten(name: string, options?: FlattenOptions): Promise<StoredImage>;

  /** The union of the image's layers, or of its `layers` lowest ones. Needs neither mount nor root. */
  tree(name: string, options?: TreeOptions): Promise<UnionTree>;
  /** Docker's `GraphDriver` of the image: low-level facts for people, never for programs. */
  graphDriver(name: string): Promise<GraphDriver>;
  /** Mounts the read-only view on `target` (default: a directory of the store), until {@link unmount} or reboot. */
  mount(name: string, options?: MountOptions): Promise<MountResult>;
  /**
   * @param target a mount point, or the name of an image all of whose views are unmounted; with
   *   `layers` only those of its lowest ones
   */
  unmount(target: string, options?: TreeOptions): Promise<readonly string[]>;
  /** The views that are mounted now. */
  mounted(): Promise<readonly MountResult[]>;

  /** Images with a writable layer on top, and processes in them. */
  readonly containers: Containers;

  /** Every byte of the store, attributed. */
  usage(): Promise<StoreUsage>;
  /** What is and what could be done with the compressed blobs of layers, one by one. */
  layerBlobs(): Promise<LayerBlobsReport>;
  /**
   * Tells the store what to do with blobs of layers from now on; {@link settleBlobs} does it.
   * @throws FAILED_PRECONDITION when the configuration says something else
   */
  setLayerBlobs(policy: LayerBlobsPolicy): Promise<void>;
  /**
   * Does what the store's policy says with the blobs that are there: looks for recipes and proves
   * them, in a thread of low priority, and drops what can come back. May be stopped, killed and
   * called by several processes at any time; what is done is not done again. Nothing calls it by
   * itself: the command line does, after a pull, in a process of its own.
   */
  settleBlobs(options?: SettleOptions): Promise<SettleResult>;
  /** Brings the blob of a layer back, if it was dropped. It stays for an hour at least. @throws NOT_FOUND */
  restoreBlob(target: Descriptor, options?: Abortable): Promise<void>;
  /** Deletes what no tag, lease or container reaches. */
  gc(options?: GcOptions): Promise<GcResult>;
  /** Removes dangling (or, with `all`, every unused) image and expired partial downloads, then collects. */
  prune(options?: PruneOptions): Promise<GcResult>;
  /** Verifies every blob, layer and row. With `repair`, re-creates what is broken from the blob or the registry. */
  check(options?: CheckOptions): Promise<CheckReport>;
  info(): Promise<EngineInfo>;
  /**
   * Changes the store's storage driver, without pulling again. What is made for it is kept when that
   * ends early, and a later call goes on. Other calls of this engine must have ended; of other
   * engines and processes, only at the end. To the driver that the store has: gives up what was begun.
   */
  migrate(options: MigrateOptions): Promise<Migration>;
}

export interface StoredImage {
  /** Digest of the config. */
  readonly id: Digest;
  /** Normalised references that point to it, e.g. `docker.io/library/redis:latest`. */
  readonly references: readonly string[];
  /** Digests it was pulled by, e.g. `docker.io/library/redis@sha256:…`. */
  readonly repoDigests: readonly string[];
  readonly manifestDescriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** The config document as it was fetched. */
  readonly configBytes: Uint8Array;
  /** Base layer first. */
  readonly layers: readonly StoredLayer[];
  readonly pulledAt: Date;
  /** When it last got a name in a repository that it was not pulled from; `undefined`: it was only pulled. */
  readonly taggedAt: Date | undefined;
  /** Sum of the files of all layers, in bytes: what docker calls Size. */
  readonly size: number;
}

export interface StoredLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly chainId: ChainId;
  /** Uncompressed tar, in bytes. */
  readonly tarSize: number;
  /** Sum of its files and symbolic links, hard links once, in bytes. */
  readonly bytes: number;
  /** Directory of the unpacked layer. */
  readonly directory: string;
  readonly dependent: boolean;
}

export interface GraphDriver {
  readonly Name: string;
  readonly Data: Readonly<Record<string, string>>;
}

export interface PullOptions extends Abortable {
  /** e.g. `linux/arm64`. Default: this machine's. */
  readonly platform?: Platform | undefined;
  /** It will be mounted next: what that needs is made while the disk is waited for. */
  readonly toMount?: boolean;
  readonly onProgress?: ((event: PullEvent) => void) | undefined;
}

/** Facts, in the order they happen; several layers interleave. */
export type PullEvent =
  | { readonly type: 'resolving'; readonly reference: string }
  | { readonly type: 'resolved'; readonly target: Descriptor; readonly from: string }
  /** Once per pull: the layers, base first. */
  | { readonly type: 'layers'; readonly layers: readonly Descriptor[] }
  | { readonly type: 'exists'; readonly target: Descriptor }
  | { readonly type: 'waiting'; readonly target: Descriptor }
  /** `bytes` of the blob are here, `resumed` of them from an earlier attempt; `shared`: another process downloads it. */
  | {
      readonly type: 'bytes';
      readonly target: Descriptor;
      readonly bytes: number;
      readonly resumed: number;
      readonly shared: boolean;
    }
  | { readonly type: 'downloaded'; readonly target: Descriptor }
  | { readonly type: 'extracting'; readonly target: Descriptor; readonly bytes: number }
  | { readonly type: 'complete'; readonly target: Descriptor }
  /** A request is tried again after `delay` milliseconds. */
  | {
      readonly type: 'retry';
      readonly target: Descriptor | undefined;
      readonly reason: string;
      readonly delay: number;
    }
  | { readonly type: 'warning'; readonly message: string };

export interface PullResult {
  readonly reference: string;
  readonly image: StoredImage;
  /** What the reference resolved to (an index or a manifest). */
  readonly target: Descriptor;
  /** Nothing had to be fetched or unpacked. */
  readonly upToDate: boolean;
  readonly bytesFetched: number;
}

export interface PullPlan {
  readonly reference: string;
  readonly target: Descriptor;
  readonly platform: Platform;
  readonly layers: readonly PlannedLayer[];
  /** In bytes. */
  readonly fetch: number;
  /** Bytes that need not be fetched: whole blobs and partial downloads. */
  readonly present: number;
  /** Estimate of the disk space that the pull needs, in bytes. `undefined` parts of it are unknown until unpacked. */
  readonly disk: number;
  readonly free: number;
}

export interface PlannedLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly state: 'missing' | 'partial' | 'blob' | 'unpacked';
  /** Bytes of a partial download that are already here. */
  readonly have: number;
}

export interface RemoveOptions {
  readonly force?: boolean;
}

export interface RemoveResult {
  readonly untagged: readonly string[];
  /** Image ID, then chain IDs, as docker prints `Deleted:`. */
  readonly deleted: readonly string[];
}

export interface TreeOptions {
  /** Only the `layers` lowest layers. Default: all. */
  readonly layers?: number | undefined;
}

export interface MountOptions extends TreeOptions {
  readonly target?: string | undefined;
}

export interface MountResult {
  readonly target: string;
  readonly image: string;
  readonly layers: number;
}

/** Sums are exact: every byte below the root is in exactly one leaf. */
export interface StoreUsage {
  readonly total: number;
  readonly images: readonly ImageUsage[];
  readonly blobs: readonly BlobUsage[];
  readonly layers: readonly LayerUsage[];
  readonly partials: readonly {
    readonly digest: Digest;
    readonly bytes: number;
    readonly active: boolean;
  }[];
  /** What each container has of its own: its writable layer, and its directory with the log. */
  readonly containers: readonly {
    readonly id: string;
    readonly name: string;
    /** ID of the image it stands on. */
    readonly image: Digest;
    readonly bytes: number;
  }[];
  /** Database, locks, projections, mounts. */
  readonly metadata: number;
  /** What `gc` would free now. */
  readonly reclaimable: number;
  /** What a change of the storage driver has made that has not ended: among the layers that no image uses. */
  readonly migration?: { readonly driver: string; readonly bytes: number };
}

export interface ImageUsage {
  readonly id: Digest;
  readonly references: readonly string[];
  /** Bytes on disk of all it uses. */
  readonly total: number;
  /** Bytes only it uses: what removing it would free. */
  readonly exclusive: number;
  readonly shared: number;
}

export interface BlobUsage {
  readonly digest: Digest;
  readonly bytes: number;
  readonly kind: 'layer' | 'config' | 'manifest' | 'index' | 'other';
  /** Image IDs. */
  readonly usedBy: readonly Digest[];
}

export interface LayerUsage {
  readonly diffId: DiffId;
  readonly directory: string;
  /** On disk, index included. */
  readonly bytes: number;
  readonly usedBy: readonly Digest[];
}

export interface LayerBlobsReport {
  readonly policy: LayerBlobsPolicy;
  readonly layers: readonly LayerBlobFacts[];
}

/** The compressed blob of a layer. */
export interface LayerBlobFacts {
  readonly digest: Digest;
  readonly diffId: DiffId;
  /** Of the blob, in bytes. */
  readonly size: number;
  /** Image IDs. */
  readonly usedBy: readonly Digest[];
  readonly state: 'kept' | 'dropped';
  /** Whether it can be made again: it was tried, and gave the same bytes; it cannot; nobody has tried. */
  readonly recipe: 'proven' | 'none' | 'unknown';
  /** Why there is no recipe. */
  readonly reason: string | undefined;
  /** Who made the blob, as far as can be told. */
  readonly compressor: string | undefined;
  /** What the recipe takes, in bytes. */
  readonly recipeSize: number;
  /** What making it again took when it was tried. */
  readonly milliseconds: number;
  /** Whether it is known from where to fetch it again. */
  readonly canFetch: boolean;
  /** It was pushed to the store's own registry, too, and is kept for that. */
  readonly isPushed: boolean;
}

export interface SettleOptions extends Abortable {
  /** Look for recipes; otherwise only what is proven already is dropped. Default true. */
  readonly prove?: boolean;
  /** With the policy `keep`: bring back what was dropped before. Default false. */
  readonly restore?: boolean;
  /** Wait for another process that is at it, instead of leaving it all to that. Default false. */
  readonly wait?: boolean;
  readonly onProgress?: ((event: SettleEvent) => void) | undefined;
}

export type SettleEvent =
  | { readonly type: 'proven'; readonly target: Descriptor; readonly milliseconds: number }
  | { readonly type: 'unproven' | 'failed'; readonly target: Descriptor; readonly reason: string }
  | { readonly type: 'restored'; readonly target: Descriptor };

export interface SettleResult {
  readonly policy: LayerBlobsPolicy;
  /** Another process is at it. */
  readonly busy: boolean;
  readonly proven: readonly Digest[];
  readonly unproven: readonly Digest[];
  readonly dropped: readonly Digest[];
  readonly restored: readonly Digest[];
  /** What went wrong may pass: the next call tries these again. */
  readonly failed: readonly Digest[];
  /** Layers that nobody has looked at yet. */
  readonly pending: readonly Digest[];
  /** Freed. */
  readonly bytes: number;
}

export interface GcOptions extends Abortable {
  readonly dryRun?: boolean;
}

export interface PruneOptions extends GcOptions {
  /** Every image without a container, not only untagged ones. */
  readonly all?: boolean;
  /** Only images that were created before. */
  readonly createdBefore?: Date;
  /** Partial downloads older than this go too, in milliseconds. Default: the store's policy. */
  readonly partialsOlderThan?: number;
}

export interface GcResult {
  readonly images: readonly string[];
  readonly blobs: readonly Digest[];
  readonly layers: readonly string[];
  readonly partials: readonly Digest[];
  readonly bytes: number;
}

export interface CheckOptions extends Abortable {
  readonly repair?: boolean;
  readonly onProgress?: (event: { readonly done: number; readonly total: number }) => void;
}

export interface CheckReport {
  readonly blobs: number;
  readonly layers: number;
  readonly images: number;
  readonly problems: readonly CheckProblem[];
}

export interface CheckProblem {
  readonly kind: string;
  readonly subject: string;
  readonly message: string;
  readonly repaired: boolean;
}

export interface EngineInfo {
  readonly version: string;
  readonly root: string;
  readonly driver: string;
  readonly driverReason: string;
  /** What the driver tells of what it works on. */
  readonly driverStatus: Readonly<Record<string, string>>;
  /** Each driver that would be taken before it, and why it is not, or what would make it the store's. */
  readonly rejected: readonly { readonly driver: string; readonly reason: string }[];
  /** Drivers that are only taken when asked for. */
  readonly onRequest: readonly string[];
  readonly platform: Platform;
  readonly kernel: string;
  /** What inflates gzip, and why nothing faster does. */
  readonly inflater: { readonly name: string; readonly reason: string | undefined };
  readonly features: Readonly<Record<string, boolean | string>>;
  readonly images: number;
  readonly layers: number;
  readonly rootless: boolean;
  /** The driver that an unfinished migration is to. */
  readonly migratingTo: string | undefined;
}
