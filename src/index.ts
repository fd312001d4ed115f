/** Mica as a library: the engine, and the values it speaks in. */
export { isCode, MicaError } from './errors.ts';
export type { ErrorCode } from './errors.ts';

export { openEngine } from './engine/open.ts';
export type { EngineOptions } from './engine/config.ts';
export type {
  BlobUsage,
  CheckOptions,
  CheckProblem,
  CheckReport,
  Engine,
  EngineInfo,
  GcOptions,
  GcResult,
  GraphDriver,
  ImageUsage,
  LayerUsage,
  MountOptions,
  MountResult,
  PlannedLayer,
  PruneOptions,
  PullEvent,
  PullOptions,
  PullPlan,
  PullResult,
  RemoveOptions,
  RemoveResult,
  StoredImage,
  StoredLayer,
  StoreUsage,
  TreeOptions,
} from './engine/engine.ts';

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

export { changesOf, layerChanges } from './explain/changes.ts';
export type { Change, ChangeKind, LayerChanges } from './explain/changes.ts';
export { layerForest, sharedWith } from './explain/sharing.ts';
export { wasteOf } from './explain/waste.ts';
export type { Waste, WastedFile } from './explain/waste.ts';
export { compareConfigs, compareTrees } from './explain/compare.ts';
export type { CompareOptions, ConfigChange, FileChange } from './explain/compare.ts';
export type { RebaseFinding } from './explain/rebase.ts';
export { whyOf } from './explain/why.ts';
export type { Why } from './explain/why.ts';

export { composeImage } from './image/compose.ts';
export type { ComposedImage, ComposeOptions } from './image/compose.ts';
export { loadImage } from './image/load.ts';
export type { Document, Image } from './image/image.ts';
export { openImageTree } from './image/open-tree.ts';
export type { ConfigPatch } from './image/patch.ts';
export { validateImage } from './image/validate.ts';

export { openRegistry } from './registry/registry.ts';
export type { Registry, Repository } from './registry/registry.ts';
export type { RegistryOptions } from './registry/options.ts';
export { systemOptions } from './registry/credentials.ts';
export { copy } from './content/copy.ts';
export type { ContentStore, Sink, Source, Tags } from './content/content.ts';
export { openArchive } from './content/archive/open-archive.ts';
export { writeArchive } from './content/archive/write-archive.ts';
export { openLayout } from './content/layout.ts';
export { MemoryStore } from './content/memory-store.ts';

export { chainIds, isDigest, parseDigest } from './oci/digest.ts';
export type { ChainId, DiffId, Digest } from './oci/digest.ts';
export type { Descriptor } from './oci/descriptor.ts';
export { parseManifest, parseIndex } from './oci/manifest.ts';
export type { Index, Manifest } from './oci/manifest.ts';
export { parseImageConfig } from './oci/config.ts';
export type { ImageConfig } from './oci/config.ts';
export { formatPlatform, hostPlatform, parsePlatform } from './oci/platform.ts';
export type { Platform } from './oci/platform.ts';
export { familiar, formatReference, parseReference, withDefaults } from './oci/reference.ts';
export type { Reference } from './oci/reference.ts';
