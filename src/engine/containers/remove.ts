import { containerOf } from '../../container/container.ts';
import { checkName } from '../../container/names.ts';
import {
  remove as removeContainer,
  type RemoveContainerOptions,
  sweep,
} from '../../container/remove.ts';
import { isBusy } from '../../container/settle.ts';
import { snapshotKeyOf } from '../../container/container.ts';
import { directoryOf } from '../../container/directory.ts';
import { getContainer, renameContainer } from '../../db/containers.ts';
import { isCode } from '../../errors.ts';
import type { Context } from '../context.ts';
import type { PruneContainersOptions, PrunedContainers } from './containers.ts';
import { list } from './find.ts';
import { containerStore } from './store.ts';

/** @see Containers.remove */
export async function remove(
  context: Context,
  name: string,
  options?: RemoveContainerOptions,
): Promise<void> {
  const store = await containerStore(context);
  await removeContainer(store, containerOf(getContainer(store.db, name)), options);
  await (await context.store()).layers.purge();
}

/** @see Containers.rename */
export async function rename(context: Context, name: string, to: string): Promise<void> {
  const { db } = await context.store();
  renameContainer(db, containerOf(getContainer(db, name)).id, checkName(to));
}

/** @see Containers.prune */
export async function prune(
  context: Context,
  { filter = () => true, dryRun = false }: PruneContainersOptions = {},
): Promise<PrunedContainers> {
  const store = await containerStore(context);
  if (!dryRun) await sweep(store);
  const containers: string[] = [];
  let bytes = 0;
  for (const container of await list(context)) {
    if (!filter(container) || (await isBusy(directoryOf(store.db.root, container.id)))) continue;
    try {
      const { size } = await store.snapshots.usage(snapshotKeyOf(container.id));
      if (!dryRun) await removeContainer(store, container);
      containers.push(container.id);
      bytes += size;
    } catch (error) {
      // Started, or removed, at this moment.
      if (!isCode(error, 'FAILED_PRECONDITION') && !isCode(error, 'NOT_FOUND')) throw error;
    }
  }
  if (!dryRun) await (await context.store()).layers.purge();
  return { containers, bytes };
}
