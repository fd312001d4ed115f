/** Mica's conformance suites, for who writes a storage driver or a snapshotter: docs/drivers/own.md. */
export { testDriver } from './driver.ts';
export { loopFileSystem } from './drivers/environment.ts';
export { testStorage } from './drivers/storage.ts';
export type {
  DriverLimits,
  DriverSuite,
  Environment,
  Space,
  SuiteParts,
  WantedEnvironment,
} from './drivers/suite.ts';
export { testSnapshotter } from './snapshotter.ts';
export type { OpenedSnapshotter, SnapshotterSuite } from './snapshotter.ts';

export type {
  CreateOptions,
  Driver,
  LayerFacts,
  LayerForm,
  Pack,
  Snapshot,
  SnapshotKind,
  Upper,
  Usage,
} from '../snapshot/driver.ts';
export type {
  CommitOptions,
  PrepareOptions,
  SnapshotInfo,
  SnapshotOptions,
  Snapshotter,
} from '../snapshot/snapshotter.ts';
export type { Mount, SharedMount } from '../sys/mount-data.ts';
