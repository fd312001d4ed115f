import type { Abortable } from '../io/bytes.ts';
import type { DiffId } from '../oci/digest.ts';
import type { Mount } from '../sys/mount-data.ts';
import type { SnapshotKind, Usage } from './driver.ts';

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
  prepare(key: string, parent: string, options?: PrepareOptions): Promise<readonly Mount[]>;
  /** Like {@link prepare}, read-only; it can be removed but not committed. */
  view(key: string, parent: string, options?: SnapshotOptions): Promise<readonly Mount[]>;
  /**
   * Turns active `key` into committed `name`, atomically and durably; `key` is gone afterwards.
   * @throws FAILED_PRECONDITION while it is mounted · ALREADY_EXISTS if `name` is taken
   */
  commit(name: string, key: string, options?: CommitOptions): Promise<void>;
  /** @throws FAILED_PRECONDITION while another snapshot is built on it, or it is mounted. */
  remove(key: string, options?: Abortable): Promise<void>;
  /** The mounts of an active or view snapshot, again. */
  mounts(key: string, options?: Abortable): Promise<readonly Mount[]>;
  stat(key: string, options?: Abortable): Promise<SnapshotInfo>;
  /** Replaces all labels. */
  update(
    key: string,
    labels: Readonly<Record<string, string>>,
    options?: Abortable,
  ): Promise<SnapshotInfo>;
  usage(key: string, options?: Abortable): Promise<Usage>;
  list(options?: Abortable): AsyncIterable<SnapshotInfo>;
  /** Docker's `GraphDriver`. Not containerd's: a remote snapshotter answers with its name and no data. */
  inspect(
    key: string,
    options?: Abortable,
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

export interface SnapshotOptions extends Abortable {
  readonly labels?: Readonly<Record<string, string>>;
}

export interface PrepareOptions extends SnapshotOptions {
  /** Upper bound of what is written, in bytes. @throws NOT_IMPLEMENTED where the driver has no quota */
  readonly maxSize?: number | undefined;
}

export interface CommitOptions extends SnapshotOptions {
  /**
   * Commit onto this parent instead of the one that `key` was prepared on. Only for drivers whose
   * snapshots hold nothing but their own changes. @throws NOT_IMPLEMENTED elsewhere
   */
  readonly parent?: string;
  /** What the changes are: a driver that shares layers keeps one copy of those with the same diffID. */
  readonly diffId?: DiffId;
}
