import type { SnapshotKind, Usage } from './driver.ts';
import type { Mount } from '../sys/mount-data.ts';

/**
 * The life of snapshots, verb for verb containerd's `Snapshotter`:
 *
 *     prepare ──▶ active ──commit──▶ committed ◀──parent── prepare/view …
 *
 * A `key` names an active or view snapshot, a `name` a committed one; both share
 * one namespace. An active snapshot is never a parent, a committed one never changes.
 */
export interface Snapshotter extends AsyncDisposable {
  /** Opens a writable snapshot on `parent` (`''`: on nothing). @throws ALREADY_EXISTS if `key` is taken. */
  prepare(key: string, parent: string, options?: SnapshotOptions): Promise<readonly Mount[]>;
  /** Like {@link prepare}, read-only; it can be removed but not committed. */
  view(key: string, parent: string, options?: SnapshotOptions): Promise<readonly Mount[]>;
  /** Turns active `key` into committed `name`, atomically; `key` is gone afterwards. */
  commit(name: string, key: string, options?: SnapshotOptions): Promise<void>;
  /** @throws FAILED_PRECONDITION while another snapshot is built on it. */
  remove(key: string): Promise<void>;
  /** The mounts of an active or view snapshot, again. */
  mounts(key: string): Promise<readonly Mount[]>;
  stat(key: string): Promise<SnapshotInfo>;
  update(key: string, labels: Readonly<Record<string, string>>): Promise<SnapshotInfo>;
  usage(key: string): Promise<Usage>;
  list(): AsyncIterable<SnapshotInfo>;
  /** Docker's `GraphDriver`. Not containerd's: a remote snapshotter answers with its name and no data. */
  inspect(
    key: string,
  ): Promise<{ readonly Name: string; readonly Data: Readonly<Record<string, string>> }>;
}

/** The logical side of a snapshot. */
export interface SnapshotInfo {
  readonly name: string;
  readonly kind: SnapshotKind;
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface SnapshotOptions {
  readonly labels?: Readonly<Record<string, string>>;
}
