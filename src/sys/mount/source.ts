import { toBytes } from '../byte-string.ts';

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
