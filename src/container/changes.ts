import { join } from 'node:path';
import type { Abortable } from '../io/bytes.ts';
import type { Changes } from '../layer/diff/change.ts';
import { type DiffOptions, treeChanges, upperChanges } from '../layer/diff/diff.ts';
import { FILES_DIRECTORY } from '../layer/index-output.ts';
import { layerDirectory } from '../snapshot/layer-rows.ts';
import { SnapshotRows } from '../snapshot/snapshot-rows.ts';
import { holdLayers, holdTree } from '../snapshot/trees.ts';
import { type Container, type ContainerStore, snapshotKeyOf } from './container.ts';
import { withoutMountPoints } from './mount-points.ts';

/**
 * What a container has changed in its image's tree: the same list whichever driver keeps it. What
 * the runtime made to mount on is not among it. What it tells of can be read while there is the container.
 */
export async function changesOf(
  { db, driver }: Pick<ContainerStore, 'db' | 'driver'>,
  { id, since }: Pick<Container, 'id' | 'since'>,
  { signal, forLayer }: Pick<DiffOptions, 'forLayer'> & Abortable = {},
): Promise<Changes> {
  const rows = new SnapshotRows(db);
  const physical = rows.physical(rows.get(snapshotKeyOf(id), 'active'));
  const parents = physical.parents.map((parent) => layerDirectory(db, Number(parent)));
  const upper = driver.upper?.(physical);
  if (upper !== undefined)
    return withoutMountPoints(await upperChanges(upper, { parents, forLayer, signal }));
  // A whole tree of its own, as the one below it.
  const [parent] = physical.parents;
  await using _ = await holdLayers(db, parent === undefined ? [] : [Number(parent)]);
  await using _own = await holdTree(db, driver, physical);
  const [below, own] = [parents[0], layerDirectory(db, Number(physical.id))].map(
    (directory) => directory && join(directory, FILES_DIRECTORY),
  );
  const touched = await driver.touched?.(physical, { signal });
  return withoutMountPoints(
    await treeChanges(own!, { parents, below, since, touched, forLayer, signal }),
  );
}
