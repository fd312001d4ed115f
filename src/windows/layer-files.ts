import { join } from 'node:path';

/** Where a layer's directory has what. */
export const LAYER_FILES = {
  /** The directory in Windows' transport format: `Files`, `Hives`, `tombstones.txt`. */
  transport: 'fs',
  /** Paths of the layers below, nearest first. */
  chain: 'layerchain.json',
  /** Hard links, which the transport format has no word for. */
  links: 'links.json',
  /** What an archive has beside the data of its files. */
  headers: 'layer.headers',
} as const;

/** In the transport format: names that are deleted. */
export const TOMBSTONES = 'tombstones.txt';
/** Begins with the mark of UTF-8. */
export const TOMBSTONES_HEADER = '\ufeffVersion 1.0';

/**
 * A path in a directory in the transport format, for calls of the system.
 * @param path - byte string, checked: it leads nowhere else
 */
export function placeOf(directory: string, path: string): Buffer | string {
  const bytes = Buffer.from(path, 'latin1');
  if (process.platform === 'win32') return join(directory, bytes.toString());
  return Buffer.concat([Buffer.from(`${directory}/`), bytes]);
}

/** Whether its file holds attributes and streams; hives are as they are. */
export const isFramed = (path: string): boolean => !path.startsWith('Hives/');

/** Bytes before the first stream: the attributes. */
export const ATTRIBUTES_SIZE = 4;
