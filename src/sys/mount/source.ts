import { toBytes } from '../byte-string.ts';
import type { Mount } from '../mount-data.ts';
import { splitOptions } from './options.ts';

/**
 * The source of a mount that says nothing else of the directories that it unites: the one that is
 * written into. The new mount API takes 255 bytes of it; of a longer path the end is told.
 */
export function sourceOf(path: string): string {
  if (toBytes(path).length <= MAX_SOURCE) return path;
  let [end, at] = [path, 0];
  while (toBytes(end).length >= MAX_SOURCE) end = path.slice(++at);
  return CUT + end;
}

/**
 * An overlay says in its options where it writes. When the path is too long for that, or all of them
 * together are, they name a descriptor of whoever mounts, and the source says it instead.
 */
export function tellingUpper(mount: Mount): Mount {
  const upper = splitOptions(mount.options).find(([key]) => key === 'upperdir')?.[1];
  const isTold = mount.options.join(',').length < 4096 && escapedLength(upper ?? '') <= MAX_SOURCE;
  return upper === undefined || isTold ? mount : { ...mount, source: sourceOf(upper) };
}

/** Bytes of a path whose backslashes, colons and commas have another backslash before them. */
const escapedLength = (path: string): number => toBytes(path).replace(/[\\:,]/g, '12').length;

/** Whether `source`, as mountinfo tells it, is a directory below `directory`. */
export function isSourceBelow(directory: string, source: string): boolean {
  if (!source.startsWith(CUT)) return source.startsWith(`${directory}/`);
  const end = source.slice(CUT.length);
  for (let at = end.indexOf('/', 1); at > 0; at = end.indexOf('/', at + 1))
    if (directory.endsWith(end.slice(0, at))) return true;
  return false;
}

const MAX_SOURCE = 255;
/** No absolute path begins so. */
const CUT = '~';
