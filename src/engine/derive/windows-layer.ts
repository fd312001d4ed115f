import { basename } from 'node:path';
import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { decompress } from '../../io/compress.ts';
import { archiveOfChanges } from '../../layer/diff/archive.ts';
import { isDirectory } from '../../layer/diff/attributes.ts';
import { treeChanges } from '../../layer/diff/diff.ts';
import type { Layer } from '../../layer/layer.ts';
import { readTar } from '../../tar/read-tar.ts';
import { checkedLayer } from '../../windows/checked-layer.ts';
import { exportLayer, isTransport } from '../../windows/export-layer.ts';
import { plainLayer } from '../../windows/plain-layer.ts';

export interface WindowsLayerOptions extends Abortable {
  /** Whether it will be the lowest layer. */
  readonly isBase: boolean;
  /** In seconds since 1970: what was modified later counts as modified then. */
  readonly sourceDateEpoch?: number | undefined;
}

/**
 * The archive of a directory as a layer of a Windows image: one that Windows exported as it is, of
 * any other its files in `C:\`.
 */
export function windowsDirectoryTar(directory: string, options: WindowsLayerOptions): Bytes {
  const tar = isTransport(directory) ? exportLayer(directory, options) : plain(directory, options);
  return checkedLayer(tar, options);
}

async function* plain(directory: string, options: WindowsLayerOptions): Bytes {
  const { root, list } = await treeChanges(directory, { parents: [], signal: options.signal });
  const changes = { root, list: list.filter(({ path }) => path !== '') };
  const directories = changes.list
    .filter((change) => change.kind !== 'deleted' && isDirectory(change.stat))
    .map(({ path }) => path);
  const members = readTar(archiveOfChanges(changes, options), options);
  yield* plainLayer(members, new Set(directories));
}

/** @throws INVALID_ARGUMENT when Windows would not take it */
export async function checkWindowsLayer(
  layer: Layer,
  source: string,
  options: WindowsLayerOptions,
): Promise<void> {
  try {
    for await (const _ of checkedLayer(decompress(layer.open(options)), options));
  } catch (error) {
    if (!(error instanceof MicaError)) throw error;
    throw new MicaError(
      error.code,
      `${basename(source)} is no layer of a Windows image: ${error.message}; a directory of plain files can be appended, and becomes one`,
      { cause: error },
    );
  }
}
