import { type ContainerStore, snapshotKeyOf } from '../../container/container.ts';
import { momentOf } from '../../container/create.ts';
import { type ContainerDirectory, newDirectory } from '../../container/directory.ts';
import { mountTree } from '../../container/mounted-tree.ts';
import { erase } from '../../container/remove.ts';
import { unmountTree } from '../../container/settle.ts';
import type { Moment } from '../../layer/diff/whole-tree.ts';

/** A writable tree on committed layers, mounted until it is disposed of, and then gone. */
export interface TemporaryTree extends AsyncDisposable {
  readonly id: string;
  readonly directory: ContainerDirectory;
  /** When it was no more than its layers. */
  readonly since: Moment;
  /** It can be read by its layers then, no more changed. Harmless when repeated. */
  unmount(): void;
}

/**
 * Puts a tree on `parent` ('' for nothing) where containers have theirs. It is one without a row: what
 * a killed build leaves is swept with other containers that never came to be.
 */
export async function temporaryTree(store: ContainerStore, parent: string): Promise<TemporaryTree> {
  await using undo = new AsyncDisposableStack();
  const { id, directory, lock } = await newDirectory(store.db.root);
  undo.use(lock);
  undo.defer(() => erase(store, id, directory));
  await store.snapshots.prepare(snapshotKeyOf(id), parent);
  const since = momentOf(directory);
  undo.defer(() => unmountTree(directory));
  await mountTree(store, id, directory);
  const owned = undo.move();
  return {
    id,
    directory,
    since,
    unmount: () => unmountTree(directory),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
