import { archiveOfChanges } from '../../layer/diff/archive.ts';
import { changesOf } from '../../container/changes.ts';
import { containerOf, snapshotKeyOf } from '../../container/container.ts';
import { volumesOf, withoutVolumes } from '../../container/volumes.ts';
import { withTree as withContainerTree } from '../../container/mounted-tree.ts';
import { getContainer } from '../../db/containers.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { Channel } from '../../io/channel.ts';
import { type ListedChange, listChanges } from '../../layer/diff/change.ts';
import { treeChanges } from '../../layer/diff/diff.ts';
import type { Usage } from '../../snapshot/driver.ts';
import type { Context } from '../context.ts';
import type { GraphDriver } from '../graph-driver.ts';
import { imageOfContainer } from './find.ts';
import { containerStore } from './store.ts';

/** @see Containers.changes */
export async function changes(context: Context, name: string): Promise<readonly ListedChange[]> {
  const store = await containerStore(context, { toRead: true });
  const container = containerOf(getContainer(store.db, name));
  const { config } = imageOfContainer(store.db, container);
  const volumes = volumesOf(container.settings, config.config ?? {});
  const all = await changesOf(store, container, { forLayer: false });
  return listChanges(withoutVolumes(all, volumes));
}

/** @see Containers.usage */
export async function usage(context: Context, name: string): Promise<Usage> {
  const { db, snapshots } = await context.readableStore();
  return await snapshots.usage(snapshotKeyOf(getContainer(db, name).id));
}

/** @see Containers.graphDriver */
export async function graphDriver(context: Context, name: string): Promise<GraphDriver> {
  const { db, snapshots } = await context.readableStore();
  return await snapshots.inspect(snapshotKeyOf(getContainer(db, name).id));
}

/** @see Containers.withTree */
export async function withTree<T>(
  context: Context,
  name: string,
  task: (root: string) => Promise<T>,
): Promise<T> {
  const store = await containerStore(context);
  return await withContainerTree(store, getContainer(store.db, name).id, task);
}

/** @see Containers.export */
export async function* exportTree(
  context: Context,
  name: string,
  { signal }: Abortable = {},
): Bytes {
  const channel = new Channel(WAITING);
  const left = new AbortController();
  const either = AbortSignal.any([left.signal, ...(signal ? [signal] : [])]);
  // Mounted for as long as somebody reads.
  const mounted = withTree(context, name, async (root) => {
    const all = await treeChanges(root, { parents: [], forLayer: false, signal: either });
    for await (const chunk of archiveOfChanges(all, { signal: either })) {
      channel.push(chunk);
      if (channel.full) await channel.drained();
    }
  }).then(
    () => channel.end(),
    (error: unknown) => channel.end(error),
  );
  try {
    yield* channel;
  } finally {
    left.abort();
    channel.leave();
    await mounted;
  }
}

/** What may wait for the reader, in bytes. */
const WAITING = 4 << 20;
