/** Mica as a library: the engine, and the values it speaks in. */
export { isCode, MicaError, type ErrorCode } from './errors.ts';

export { openEngine } from './engine/open.ts';
export type { EngineOptions } from './engine/config.ts';
export type { BlobUsage, ImageUsage, LayerUsage, StoreUsage } from './engine/space/usage.ts';
export type { CheckOptions, CheckProblem, CheckReport } from './engine/check/check.ts';
export type { Engine } from './engine/engine.ts';
export type { EngineInfo } from './engine/info.ts';
export type { GcOptions, GcResult, PruneOptions } from './engine/space/gc.ts';
export type { GraphDriver } from './engine/graph-driver.ts';
export type { MountOptions, MountResult } from './engine/mounts.ts';
export type { PlannedLayer, PullPlan } from './engine/pull/plan.ts';
export type { PullEvent, PullOptions, PullResult } from './engine/pull/pull.ts';
export type { RemoveOptions, RemoveResult } from './engine/images.ts';
export type { StoredImage, StoredLayer } from './engine/stored-image.ts';
export type { TreeOptions } from './engine/tree.ts';

export type {
  AppendOptions,
  ConvertOptions,
  DeriveOptions,
  FlattenOptions,
  LayerCompression,
  MutateOptions,
  RebaseOptions,
  RebaseResult,
  SquashOptions,
} from './engine/derive/derive.ts';

export { openBuilder } from './build/open.ts';
export type { Builder, BuildOptions, BuildResult, PruneBuildsOptions } from './build/builder.ts';
export type {
  BuildEvent,
  BuildStep,
  CacheAnswer,
  ChangedInput,
  MissReason,
} from './build/event.ts';

export type {
  LayerSource,
  MigratedLayer,
  MigrateEvent,
  MigrateOptions,
  Migration,
} from './engine/migrate/migration.ts';

export type {
  CopyOptions,
  CopyResult,
  ImportOptions,
  LoadedImage,
  LoadOptions,
  PushOptions,
  PushResult,
  SaveFormat,
  SaveOptions,
  TransferEvent,
} from './engine/transfer/transfer.ts';

export type {
  FileTree,
  FileType,
  PathLayer,
  Resolution,
  TreeDirent,
  TreeEntry,
  TreePath,
  TreeStat,
  UnionTree,
} from './union/tree.ts';

export {
  changesOf,
  layerChanges,
  type Change,
  type ChangeKind,
  type LayerChanges,
} from './explain/changes.ts';
export { layerForest, sharedWith } from './explain/sharing.ts';
export { wasteOf, type Waste, type WastedFile } from './explain/waste.ts';
export {
  compareConfigs,
  compareTrees,
  type CompareOptions,
  type ConfigChange,
  type FileChange,
} from './explain/compare.ts';
export type { RebaseFinding } from './explain/rebase.ts';
export { whyOf, type Why } from './explain/why.ts';

export { composeImage, type ComposedImage, type ComposeOptions } from './image/compose.ts';
export { loadImage } from './image/load.ts';
export type { Document, Image } from './image/image.ts';
export { openImageTree } from './image/open-tree.ts';
export type { ConfigPatch } from './image/patch.ts';
export { validateImage } from './image/validate.ts';

export { openRegistry, type Registry, type Repository } from './registry/registry.ts';
export type { RegistryOptions } from './registry/options.ts';
export { systemOptions } from './registry/credentials.ts';
export { copy } from './content/copy.ts';
export type { ContentStore, Sink, Source, Tags } from './content/content.ts';
export { openArchive } from './content/archive/open-archive.ts';
export { writeArchive } from './content/archive/write-archive.ts';
export { openLayout } from './content/layout.ts';
export { MemoryStore } from './content/memory-store.ts';

export {
  chainIds,
  isDigest,
  parseDigest,
  type ChainId,
  type DiffId,
  type Digest,
} from './oci/digest.ts';
export type { Descriptor } from './oci/descriptor.ts';
export { parseManifest, parseIndex, type Index, type Manifest } from './oci/manifest.ts';
export { parseImageConfig, type ImageConfig } from './oci/config.ts';
export { formatPlatform, hostPlatform, parsePlatform, type Platform } from './oci/platform.ts';
export {
  familiar,
  formatReference,
  parseReference,
  withDefaults,
  type Reference,
} from './oci/reference.ts';
