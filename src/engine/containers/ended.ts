import { containerOf } from '../../container/container.ts';
import { finish } from '../../container/remove.ts';
import { findContainer } from '../../db/containers.ts';
import { resolveConfig } from '../config.ts';
import { Context } from '../context.ts';
import { containerStore } from './store.ts';

/**
 * What is executed when a container has ended and nobody attends it: unmounts its tree, and removes
 * it if it was to be. Arguments: the store's directory, the container's ID.
 */
async function settle(root: string, id: string): Promise<void> {
  await using context = new Context({ ...(await resolveConfig({ root })), driver: undefined });
  // The store may be gone by now, and must not come back.
  if (findContainer(await context.reading(), id) === undefined) return;
  const store = await containerStore(context);
  const row = findContainer(store.db, id);
  if (row !== undefined) await finish(store, containerOf(row));
}

const [root, id] = process.argv.slice(2);
if (root !== undefined && id !== undefined) void settle(root, id);
