import type { ContainerRow } from '../db/containers.ts';
import type { Database } from '../db/database.ts';
import type { Leases } from '../db/leases.ts';
import type { Moment } from '../layer/diff/whole-tree.ts';
import type { Digest } from '../oci/digest.ts';
import type { RuntimeChoice } from '../runtime/find.ts';
import type { LogOptions } from '../runtime/log/log-file.ts';
import type { HostFacts } from '../runtime/spec/host.ts';
import type { ContainerOptions } from '../runtime/spec/options.ts';
import type { Driver } from '../snapshot/driver.ts';
import type { LocalSnapshotter } from '../snapshot/local.ts';

/** What containers need of a store that is open for writing. */
export interface ContainerStore {
  readonly db: Database;
  readonly leases: Leases;
  readonly snapshots: LocalSnapshotter;
  readonly driver: Driver;
  /** What runs processes; looked for when something is to be run. */
  readonly runtime: () => { readonly choice: RuntimeChoice; readonly host: HostFacts };
}

/** What was asked for when a container was created. Plain data, kept as JSON. */
export interface ContainerSettings {
  /** As the user named it. */
  readonly imageName: string;
  readonly options: ContainerOptions;
  /** Those of its image among them. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Keeps input open while nobody is connected (`-i`). */
  readonly interactive?: boolean | undefined;
  /** Removed when it ends. */
  readonly autoRemove?: boolean | undefined;
  readonly stopSignal?: string | undefined;
  /** In seconds; -1: waits for ever. */
  readonly stopTimeout?: number | undefined;
  readonly log?: LogOptions | undefined;
  /** Dockerfile instructions that say otherwise than its image. */
  readonly changes?: readonly string[] | undefined;
  /** Of its writable layer, in bytes. */
  readonly maxSize?: number | undefined;
}

export interface Container {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** ID of its image. */
  readonly image: Digest;
  readonly createdAt: Date;
  readonly settings: ContainerSettings;
  /** When its tree was no more than its image's, by the clock of the store's file system. */
  readonly since: Moment;
}

interface Kept extends ContainerSettings {
  readonly since: Moment;
}

export function containerOf({ id, name, image, settings, created }: ContainerRow): Container {
  const { since, ...rest } = JSON.parse(settings) as Kept;
  return { id, name, image, createdAt: new Date(created), settings: rest, since };
}

export const rowOf = ({ settings, since, createdAt, ...rest }: Container): ContainerRow => ({
  ...rest,
  settings: JSON.stringify({ ...settings, since } satisfies Kept),
  created: createdAt.getTime(),
});

/** Key of its writable snapshot. */
export const snapshotKeyOf = (id: string): string => `container-${id}`;
