import { join } from 'node:path';
import type { LayerForm } from '../snapshot/driver.ts';
import { directoryData } from './directory-data.ts';
import { tarData, tarFile } from './tar-data.ts';
import type { UnionLayer } from './union.ts';
import { windowsData } from './windows-data.ts';

export interface StoredLayerOptions {
  /**
   * The `layer.tar` of another layer, by the hex digits of its diffID: where a layer that hard-links
   * files of its parents has their content.
   */
  readonly tarOf?: (diffIdHex: string) => string | undefined;
  /** Keeps `fs/` visible, where it is not always; called before something is read. */
  readonly hold?: () => Promise<AsyncDisposable>;
}

/**
 * A layer as the store keeps it.
 * @param directory the layer's, with `index.erofs` and `fs/` or `layer.tar`
 */
export function storedLayer(
  directory: string,
  form: LayerForm,
  { tarOf = () => undefined, hold }: StoredLayerOptions = {},
): UnionLayer {
  const index = join(directory, 'index.erofs');
  if (form === 'windows') return { index, data: windowsData(directory) };
  if (form !== 'tar') return { index, data: directoryData(join(directory, 'fs'), hold) };
  const other = (diffIdHex: string): ReturnType<typeof tarFile> | undefined => {
    const path = tarOf(diffIdHex);
    return path === undefined ? undefined : tarFile(path);
  };
  return { index, data: tarData(tarFile(join(directory, 'layer.tar')), other) };
}
