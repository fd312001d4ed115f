import { MicaError } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import type { Changes } from '../layer/diff/change.ts';
import { treeChanges, upperChanges } from '../layer/diff/diff.ts';
import { layerDirectory } from '../snapshot/layer-rows.ts';
import { SnapshotRows } from '../snapshot/snapshot-rows.ts';
import { type Container, type ContainerStore, snapshotKeyOf } from './container.ts';
import { withoutMountPoints } from './mount-points.ts';

/**
 * What a container has changed in its image's tree: the same list whichever driver keeps it. What
 * the runtime made to mount on is not among it. Needs no mount.
 */
export async function changesOf(
  { db, driver, snapshots }: ContainerStore,
  { id, since, name }: Pick<Container, 'id' | 'since' | 'name'>,
  { signal }: Abortable = {},
): Promise<Changes> {
  const rows = new SnapshotRows(db);
  const physical = rows.physical(rows.get(snapshotKeyOf(id), 'active'));
  const parents = physical.parents.map((parent) => layerDirectory(db, Number(parent)));
  const upper = driver.upper?.(physical);
  if (upper !== undefined)
    return withoutMountPoints(await upperChanges(upper, { parents, signal }));
  // A whole tree of its own, which a bind shows.
  const [mount, ...more] = await snapshots.mounts(snapshotKeyOf(id));
  if (mount === undefined || more.length > 0 || !mount.options.some((o) => /^r?bind$/.test(o)))
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `storage driver ${driver.name} cannot tell the changes of container ${name}`,
    );
  return withoutMountPoints(await treeChanges(mount.source, { parents, since, signal }));
}
