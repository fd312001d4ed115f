import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import type { ContainerDefaults } from '../oci/config.ts';
import { findInit } from '../runtime/find-init.ts';
import type { MonitorProcess, Started } from '../runtime/monitor-process.ts';
import type { Afterwards, Stdio } from '../runtime/order.ts';
import { defaultHostname, writeEtcFiles } from '../runtime/spec/etc-files.ts';
import type { ContainerOptions } from '../runtime/spec/options.ts';
import { formatSpec, specOf } from '../runtime/spec/spec.ts';
import { readState, RUN_FILES } from '../runtime/state.ts';
import { fromNode } from '../sys/errno.ts';
import type { Container, ContainerSettings, ContainerStore } from './container.ts';
import { type ContainerDirectory, directoryOf, lockContainer } from './directory.ts';
import { mountTree } from './mounted-tree.ts';
import { unmountTree } from './settle.ts';
import { makeVolumes, volumesOf } from './volumes.ts';

export interface StartInput {
  readonly monitor: MonitorProcess;
  /** What the image says about its containers. */
  readonly image: ContainerDefaults;
  readonly stdio: Stdio;
  /** Given to who watches it: done when it has ended, whatever becomes of this process. */
  readonly afterwards: Afterwards;
}

/**
 * Mounts a container's tree and starts its first process.
 * @throws StartError with docker's exit code; CONFLICT when it runs already
 */
export async function start(
  store: ContainerStore,
  container: Container,
  input: StartInput,
): Promise<Started> {
  const directory = directoryOf(store.db.root, container.id);
  using _ = await lockContainer(directory);
  await refuseRunning(container, directory);
  unmountTree(directory);
  try {
    await mountTree(store, container.id, directory);
    const { settings } = container;
    makeVolumes(directory.rootfs, volumesOf(settings, input.image), settings.options);
    writeSpec(store, container, directory, input);
    return await input.monitor.run(orderOf(store, container, directory, input));
  } catch (error) {
    unmountTree(directory);
    throw error;
  }
}

async function refuseRunning({ name }: Container, { path }: ContainerDirectory): Promise<void> {
  const { status } = await readState(path);
  if (status === 'running' || status === 'paused' || status === 'starting')
    throw new MicaError('CONFLICT', `container ${name} is running already`);
}

/** Writes what the runtime is told: the bundle's `config.json`, and the files of `/etc`. */
export function writeSpec(
  store: ContainerStore,
  {
    id,
    settings,
  }: Pick<Container, 'id'> & { readonly settings: Pick<ContainerSettings, 'options'> },
  { path, rootfs, etc }: ContainerDirectory,
  { image }: Pick<StartInput, 'image'>,
): void {
  const { options } = settings;
  makeSources(options);
  const hostname = hostnameOf(id, options);
  const files = writeEtcFiles(etc, hostname, options);
  const { host, choice } = store.runtime();
  const init = options.init ? findInit(choice.searchPath) : undefined;
  const spec = specOf({ id, rootfs, files, init, host, hostname, image, options });
  // It may hold secrets in its environment.
  const config = join(path, RUN_FILES.spec);
  try {
    rmSync(config, { force: true });
    writeFileSync(config, formatSpec(spec), { mode: 0o600 });
  } catch (error) {
    throw fromNode(error);
  }
}

export const hostnameOf = (id: string, { hostname, network, uts }: ContainerOptions): string =>
  hostname ?? defaultHostname(id, uts === 'host' ? 'host' : network);

/** docker makes directories that `-v` names and nobody has. */
function makeSources({ binds = [] }: ContainerOptions): void {
  for (const { source, mustExist } of binds) {
    if (mustExist) continue;
    try {
      mkdirSync(source, { recursive: true });
    } catch (error) {
      // A file, which is fine, or something that specOf complains about.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST' && code !== 'ENOTDIR') throw fromNode(error);
    }
  }
}

const orderOf = (
  store: ContainerStore,
  { id, settings }: Container,
  { path }: ContainerDirectory,
  { stdio, afterwards }: StartInput,
): Parameters<MonitorProcess['run']>[0] => ({
  kind: 'run',
  id,
  directory: path,
  runtime: store.runtime().choice,
  log: settings.log ?? {},
  durable: settings.autoRemove !== true,
  afterwards,
  ...stdio,
});
