import { type Container, containerOf } from '../../container/container.ts';
import { directoryOf } from '../../container/directory.ts';
import { type ContainerRow, getContainer, listContainers } from '../../db/containers.ts';
import type { Database } from '../../db/database.ts';
import { findImage } from '../../db/images.ts';
import { MicaError } from '../../errors.ts';
import { readState } from '../../runtime/state.ts';
import type { Context } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { storedImage } from '../images.ts';
import type { ContainerInfo } from './containers.ts';

/** @see Containers.list */
export async function list(context: Context): Promise<ContainerInfo[]> {
  const db = await context.reading();
  return await Promise.all(listContainers(db).map((row) => infoOf(db, row)));
}

/** @see Containers.get */
export async function get(context: Context, name: string): Promise<ContainerInfo> {
  const db = await context.reading();
  return await infoOf(db, getContainer(db, name));
}

async function infoOf({ root }: Database, row: ContainerRow): Promise<ContainerInfo> {
  const { path } = directoryOf(root, row.id);
  return { ...containerOf(row), state: await readState(path), directory: path };
}

/** @see Containers.imageOf */
export async function imageOf(context: Context, container: Container): Promise<StoredImage> {
  return imageOfContainer(await context.reading(), container);
}

export function imageOfContainer(db: Database, { image, name }: Container): StoredImage {
  const record = findImage(db, image);
  if (record === undefined)
    throw new MicaError('DATA_LOSS', `image ${image} of container ${name} is not in the store`);
  return storedImage(db, { record, manifest: undefined });
}
