import type { Abortable, Bytes } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
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
import type { SettleOptions, SettleResult } from './blobs/settle.ts';
import type { StoreUsage } from './space/usage.ts';
import type { LayerBlobsReport } from './blobs/report.ts';
import type { RemoveOptions, RemoveResult } from './images.ts';
import type { PullPlan } from './pull/plan.ts';
import type { CheckOptions, CheckReport } from './check/check.ts';
import type { EngineInfo } from './info.ts';
import type { StoredImage } from './stored-image.ts';
import type { MountOptions, MountResult } from './mounts.ts';
import type { GcOptions, GcResult, PruneOptions } from './space/gc.ts';
import type { PullOptions, PullResult } from './pull/pull.ts';
import type { GraphDriver } from './graph-driver.ts';
import type { TreeOptions } from './tree.ts';

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
