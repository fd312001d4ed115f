import type { Container } from '../../container/container.ts';
import { create as createContainer } from '../../container/create.ts';
import { MicaError } from '../../errors.ts';
import type { Context } from '../context.ts';
import { formatPlatform } from '../../oci/platform.ts';
import { findByName, storedImage } from '../images.ts';
import type { CreateRequest } from './containers.ts';
import { containerStore } from './store.ts';

/** @see Containers.create */
export async function create(
  context: Context,
  name: string,
  { name: own, ...settings }: CreateRequest,
): Promise<Container> {
  const store = await containerStore(context);
  const image = storedImage(store.db, findByName(store.db, name));
  if (image.config.os !== 'linux')
    throw new MicaError(
      'FAILED_PRECONDITION',
      `${name} is an image for ${formatPlatform(image.config)}: only Linux runs in containers here; its files can be read with mica ls, cat and cp`,
    );
  const { id, layers, config } = image;
  // As in docker, a container has the labels of its image, for whoever looks for them.
  const labels = { ...config.config?.Labels, ...settings.labels };
  return await createContainer(store, {
    image: id,
    top: layers.at(-1)?.chainId,
    name: own,
    settings: { imageName: name, ...settings, labels },
  });
}
