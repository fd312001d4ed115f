import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { deleteContainer, findContainer, listContainers } from '../db/containers.ts';
import { isCode, MicaError } from '../errors.ts';
import { kill } from '../runtime/kill.ts';
import { waitForExit } from '../runtime/attach.ts';
import { startMonitor } from '../runtime/monitor-process.ts';
import { readState } from '../runtime/state.ts';
import { type HeldLock, isHeld } from '../sys/alive.ts';
import { errnoOf, fromNode } from '../sys/errno.ts';
import { type Container, containerOf, type ContainerStore, snapshotKeyOf } from './container.ts';
import {
  type ContainerDirectory,
  containersDirectory,
  directoryOf,
  lockContainer,
} from './directory.ts';
import { isBusy, settle, unmountTree } from './settle.ts';

export interface RemoveContainerOptions {
  /** Also while it runs: it is killed. */
  readonly force?: boolean | undefined;
}

/** Removes a container with its writable layer, log and all. @throws FAILED_PRECONDITION while it runs */
export async function remove(
  store: ContainerStore,
  { id, name, settings }: Pick<Container, 'id' | 'name' | 'settings'>,
  { force = false }: RemoveContainerOptions = {},
): Promise<void> {
  const directory = directoryOf(store.db.root, id);
  if (force) await end(directory.path);
  if (!existsSync(directory.path)) {
    // Another process has removed it, its row first.
    if (findContainer(store.db, id) === undefined) return;
    // It was taken away by hand.
    mkdirSync(directory.path, { recursive: true, mode: 0o700 });
  }
  using lock = await lockUnlessRemoved(store, id, directory);
  if (lock === undefined) return;
  // While it starts there is nothing to kill yet; who started it held the lock.
  if (force) await end(directory.path);
  const { status } = await readState(directory.path);
  if (!force && (await isBusy(directory)))
    throw new MicaError(
      'FAILED_PRECONDITION',
      `cannot remove container ${name}: it is ${status}; stop it first, or use --force`,
    );
  if (status === 'dead') await endOrphan(store, id, directory);
  unmountTree(directory);
  await erase(store, id, directory, { durable: settings.autoRemove !== true });
}

/** @returns `undefined` when another process has removed it while we waited */
async function lockUnlessRemoved(
  { db }: ContainerStore,
  id: string,
  directory: ContainerDirectory,
): Promise<HeldLock | undefined> {
  try {
    return await lockContainer(directory);
  } catch (error) {
    if (isCode(error, 'NOT_FOUND') && findContainer(db, id) === undefined) return undefined;
    throw error;
  }
}

/** What is to be done when a container has ended, by whoever is first. */
export async function finish(store: ContainerStore, container: Container): Promise<void> {
  const directory = directoryOf(store.db.root, container.id);
  if (!existsSync(directory.path)) return;
  if (container.settings.autoRemove !== true) return settle(directory);
  try {
    await remove(store, container);
  } catch (error) {
    // Somebody has started it again, or removed it at this moment.
    if (!isCode(error, 'FAILED_PRECONDITION') && !isCode(error, 'NOT_FOUND')) throw error;
  }
}

/**
 * With its lock held. What a crash leaves of it is repeated by the next removal, or by {@link sweep}.
 * @param options - `durable`: `false` for what {@link sweep} removes whenever it finds it ended
 */
export async function erase(
  { db, snapshots }: ContainerStore,
  id: string,
  { path }: ContainerDirectory,
  options: { readonly durable?: boolean } = {},
): Promise<void> {
  try {
    await snapshots.remove(snapshotKeyOf(id), options);
  } catch (error) {
    if (!isCode(error, 'NOT_FOUND')) throw error;
  }
  deleteContainer(db, id);
  try {
    // What watched it may wait for a lock in there, and make its file anew, at this moment.
    rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 10 });
  } catch (error) {
    throw fromNode(error);
  }
}

async function end(path: string): Promise<void> {
  try {
    await kill(path);
    await waitForExit(path);
  } catch (error) {
    if (!isCode(error, 'FAILED_PRECONDITION')) throw error;
  }
}

/** What a killed monitor has left, if anything. */
async function endOrphan(
  store: ContainerStore,
  id: string,
  { path }: ContainerDirectory,
): Promise<void> {
  using monitor = startMonitor();
  await monitor.remove({ kind: 'remove', id, directory: path, runtime: store.runtime().choice });
}

/**
 * Cleans up behind processes that died: directories without a row, trees of what has ended, and
 * containers that were to be removed at their end. What somebody works on is left alone.
 */
export async function sweep(store: ContainerStore): Promise<void> {
  const { db } = store;
  for (const id of directoriesIn(containersDirectory(db.root))) {
    const directory = directoryOf(db.root, id);
    await unlessGone(directory, async () => {
      if (findContainer(db, id) === undefined) await sweepOrphan(store, id, directory);
      else await settle(directory);
    });
  }
  for (const row of listContainers(db)) {
    const container = containerOf(row);
    const directory = directoryOf(db.root, row.id);
    const { status } = await readState(directory.path);
    // Its removal is not durable: after a power loss there may be rows without files.
    const ended = status === 'exited' || status === 'dead' || !existsSync(directory.path);
    if (container.settings.autoRemove && ended)
      await unlessGone(directory, () => remove(store, container, { force: true }));
  }
}

/** Another process may remove a container while we look at it; then nothing is left to do. */
async function unlessGone({ path }: ContainerDirectory, task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (error) {
    if (!isCode(error, 'NOT_FOUND') || existsSync(path)) throw error;
  }
}

async function sweepOrphan(
  store: ContainerStore,
  id: string,
  directory: ContainerDirectory,
): Promise<void> {
  if (isHeld(directory.lock)) return;
  using _ = await lockContainer(directory);
  if (findContainer(store.db, id) !== undefined) return;
  // A command of a build that was killed may go on.
  await end(directory.path);
  if ((await readState(directory.path)).status === 'dead') await endOrphan(store, id, directory);
  unmountTree(directory);
  await erase(store, id, directory);
}

function directoriesIn(path: string): string[] {
  try {
    return readdirSync(path).filter((name) => /^[0-9a-f]{64}$/.test(name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fromNode(error);
  }
}
