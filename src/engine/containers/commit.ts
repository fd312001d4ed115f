import { changesOf } from '../../container/changes.ts';
import { configOf } from '../../container/config.ts';
import { volumesOf, withoutVolumes } from '../../container/volumes.ts';
import { type Container, containerOf, type ContainerStore } from '../../container/container.ts';
import { directoryOf } from '../../container/directory.ts';
import { getContainer } from '../../db/containers.ts';
import { isCode } from '../../errors.ts';
import { applyChanges } from '../../image/changes.ts';
import type { ComposedImage } from '../../image/compose.ts';
import { fittedHistory } from '../../image/history.ts';
import { mutate } from '../../image/mutate.ts';
import type { Layer } from '../../layer/layer.ts';
import { formatOf } from '../../oci/media-type.ts';
import { pause, unpause } from '../../runtime/kill.ts';
import { readState } from '../../runtime/state.ts';
import type { Context } from '../context.ts';
import { derive, type Original } from '../derive/derived.ts';
import { storeChanges } from '../derive/store-layer.ts';
import type { StoredImage } from '../stored-image.ts';
import { findByName } from '../images.ts';
import type { CommitContainerOptions } from './containers.ts';
import { containerStore } from './store.ts';

/** @see Containers.commit */
export async function commit(
  context: Context,
  name: string,
  options: CommitContainerOptions = {},
): Promise<StoredImage> {
  const store = await containerStore(context);
  const container = containerOf(getContainer(store.db, name));
  const { path } = directoryOf(store.db.root, container.id);
  const making = {
    verb: `commit container ${container.name} on`,
    name: nameOfImage(store, container),
  };
  const wasRunning = options.pause !== false && (await readState(path)).status === 'running';
  // Where there are no control groups nothing can be paused; a file that changes while it is read is noticed.
  const pauses = wasRunning && store.runtime().host.cgroups !== 'none';
  await using paused = new AsyncDisposableStack();
  if (pauses) {
    await pause(path);
    paused.defer(() => letGoOn(path));
  }
  return await derive(context, making, options, async (original) => {
    const volumes = volumesOf(container.settings, original.image.config.config ?? {});
    const changes = withoutVolumes(await changesOf(store, container, options), volumes);
    const { sourceDateEpoch } = context.config;
    const { signal } = options;
    const format = formatOf(original.image.descriptor.mediaType);
    const layer = await storeChanges(original, changes, { format, sourceDateEpoch, signal });
    return withLayer(original, container, layer, options);
  });
}

/** Somebody may have done so meanwhile, or ended it: the image is there all the same. */
async function letGoOn(directory: string): Promise<void> {
  try {
    await unpause(directory);
  } catch (error) {
    if (!isCode(error, 'FAILED_PRECONDITION')) throw error;
  }
}

/**
 * By the name that it was made from, as long as that is the same image: one configuration may have
 * several manifests here, in other formats and compressions.
 */
function nameOfImage({ db }: ContainerStore, { image, settings }: Container): string {
  try {
    if (findByName(db, settings.imageName).record.id === image) return settings.imageName;
  } catch (error) {
    if (!isCode(error, 'NOT_FOUND') && !isCode(error, 'INVALID_ARGUMENT')) throw error;
  }
  return image;
}

function withLayer(
  { image, created }: Original,
  { settings, name }: Container,
  layer: Layer,
  { author, message, changes = [] }: CommitContainerOptions,
): ComposedImage {
  const { config } = image;
  const ran = configOf(settings, config.config ?? {});
  const command = [...(ran.Entrypoint ?? []), ...(ran.Cmd ?? [])].join(' ');
  const step = {
    created,
    created_by: command === '' ? `mica commit ${name}` : command,
    ...(author !== undefined && { author }),
    ...(message !== undefined && { comment: message }),
  };
  return mutate(image, {
    config: {
      ...config,
      created,
      author: author ?? config.author,
      config: applyChanges(ran, changes),
      history: [...fittedHistory(config), step],
    },
    layers: [...image.layers, layer],
  });
}
