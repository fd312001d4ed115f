import { mountNamespace } from '../sys/mount-namespaces.ts';
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

/** Whether a view is written down at all, wherever it is. */
export const hasMounts = (db: Database): boolean =>
  db.get('select 1 from mount limit 1') !== undefined;

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

/**
 * Mounts that ended with their boot, or with their mount namespace.
 * @param isAlive - whether a mount namespace of this boot is still there
 */
export const lostMounts = (
  db: Database,
  isAlive: (namespace: string) => boolean,
): { readonly snapshot: string }[] =>
  db
    .all<{ snapshot: string; namespace: string; boot: string }>(
      'select snapshot, namespace, boot from mount',
    )
    .filter(({ namespace, boot }) => boot !== bootId() || !isAlive(namespace));

export const deleteMountOf = (db: Database, snapshot: string): void => {
  db.run('delete from mount where snapshot = ?', snapshot);
};
