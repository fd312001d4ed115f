import { type Container, containerOf } from '../../container/container.ts';
import { directoryOf } from '../../container/directory.ts';
import { finish } from '../../container/remove.ts';
import { getContainer } from '../../db/containers.ts';
import { isCode, MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { waitForExit } from '../../runtime/attach.ts';
import type { Exit } from '../../runtime/attachment.ts';
import * as processes from '../../runtime/kill.ts';
import { signalNumber } from '../../sys/process.ts';
import type { Context } from '../context.ts';
import type { StopContainerOptions } from './containers.ts';
import { imageOfContainer } from './find.ts';
import { containerStore } from './store.ts';

interface Found {
  readonly container: Container;
  readonly path: string;
}

async function find(context: Context, name: string): Promise<Found> {
  const db = await context.reading();
  const container = containerOf(getContainer(db, name));
  return { container, path: directoryOf(db.root, container.id).path };
}

/** Tells which container an error is about. */
async function about<T>({ container }: Found, what: string, task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    if (!(error instanceof MicaError)) throw error;
    throw new MicaError(error.code, `${what} container ${container.name}: ${error.message}`, {
      cause: error,
    });
  }
}

/** @see Containers.stop */
export async function stop(
  context: Context,
  name: string,
  { number, grace, signal: abort }: StopContainerOptions = {},
): Promise<void> {
  const store = await containerStore(context);
  const found = await find(context, name);
  const { settings } = found.container;
  const { config } = imageOfContainer(store.db, found.container).config;
  const word = settings.stopSignal ?? config?.StopSignal;
  const usual = word === undefined ? undefined : signalNumber(word);
  const seconds = settings.stopTimeout ?? config?.StopTimeout;
  const usualGrace = seconds === undefined ? undefined : Math.max(-1, seconds * 1000);
  const options = { signal: number ?? usual, grace: grace ?? usualGrace, abort };
  await about(found, 'stop', processes.stop(found.path, options));
  await finish(store, found.container);
}

/** @see Containers.kill */
export async function kill(context: Context, name: string, signal?: number): Promise<void> {
  const found = await find(context, name);
  await about(found, 'kill', processes.kill(found.path, signal));
}

/** @see Containers.pause */
export async function pause(context: Context, name: string): Promise<void> {
  const found = await find(context, name);
  await about(found, 'pause', processes.pause(found.path));
}

/** @see Containers.unpause */
export async function unpause(context: Context, name: string): Promise<void> {
  const found = await find(context, name);
  await about(found, 'unpause', processes.unpause(found.path));
}

/** @see Containers.wait */
export async function wait(
  context: Context,
  name: string,
  { signal }: Abortable = {},
): Promise<Exit | undefined> {
  const { path } = await find(context, name);
  try {
    return await waitForExit(path, signal);
  } catch (error) {
    // It was removed meanwhile.
    if (isCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}
