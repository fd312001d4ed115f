import { readlinkSync } from 'node:fs';
import type { Database } from './database.ts';
import { bootId } from './boot.ts';

/** A view that `mica mount` made. It ends with its mount namespace, at the latest with this boot. */
export interface MountRecord {
  readonly target: string;
  /** Key of the view's snapshot. */
  readonly snapshot: string;
  /** As the user named it. */
  readonly image: string;
  /** How many of the image's layers it shows. */
  readonly layers: number;
  readonly createdAt: Date;
}

interface MountRow {
  readonly target: string;
  readonly snapshot: string;
  readonly image: string;
  readonly layers: number;
  readonly created: number;
}

/** The views of this mount namespace and boot. Whether they are still mounted, only the kernel knows. */
export const listMounts = (db: Database): MountRecord[] =>
  db
    .all<MountRow>(
      'select target, snapshot, image, layers, created from mount where namespace = ? and boot = ? order by created, target',
      mountNamespace(),
      bootId(),
    )
    .map(({ target, snapshot, image, layers, created }) => ({
      target,
      snapshot,
      image,
      layers,
      createdAt: new Date(created),
    }));

/** Where the views are mounted that snapshots show, by the snapshots' keys; in all mount namespaces. */
export const mountTargets = (db: Database): Map<string, string> =>
  new Map(
    db
      .all<Pick<MountRow, 'snapshot' | 'target'>>('select snapshot, target from mount')
      .map(({ snapshot, target }) => [snapshot, target]),
  );

export function putMount(db: Database, mount: Omit<MountRecord, 'createdAt'>): void {
  const { target, snapshot, image, layers } = mount;
  db.run(
    `insert or replace into mount (target, namespace, boot, snapshot, image, layers, created)
     values (?, ?, ?, ?, ?, ?, ?)`,
    target,
    mountNamespace(),
    bootId(),
    snapshot,
    image,
    layers,
    Date.now(),
  );
}

/** @returns whether there was one */
export const deleteMount = (db: Database, target: string): boolean =>
  db.run(
    'delete from mount where target = ? and namespace = ? and boot = ?',
    target,
    mountNamespace(),
    bootId(),
  ) > 0;

/** Forgets the mounts of earlier boots. @returns keys of the snapshots that they showed */
export const dropMountsOfOtherBoots = (db: Database): string[] =>
  db
    .all<{ snapshot: string }>('delete from mount where boot <> ? returning snapshot', bootId())
    .map(({ snapshot }) => snapshot);

/** `mnt:[4026531841]`; '' off Linux. */
export function mountNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/mnt');
  } catch {
    return '';
  }
}
