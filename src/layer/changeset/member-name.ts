import { MicaError } from '../../errors.ts';
import { printable } from '../../sys/byte-string.ts';

/** What the kernel accepts as a path, the final NUL not counted. In bytes. */
export const MAX_PATH = 4095;
/** What every Linux file system accepts as one name. In bytes. */
export const MAX_NAME = 255;

const NEEDS_WORK = /\/\/|(?:^|\/)\.\.?(?:\/|$)/;

/**
 * The path a member of a layer means: relative to the root, without `.`, `..`, empty or trailing
 * components; `''` is the root. As in umoci and containerd, `..` is taken away with the name before
 * it, and nothing leads above the root.
 * @throws INVALID_ARGUMENT for what cannot be a path
 */
export function cleanName(name: string): string {
  let start = 0;
  let end = name.length;
  if (name.startsWith('./')) start = 2;
  while (start < end && name.charCodeAt(start) === 0x2f) start++;
  while (end > start && name.charCodeAt(end - 1) === 0x2f) end--;
  let path = name.slice(start, end);
  if (NEEDS_WORK.test(path)) path = walked(splitNames(path));
  if (path.length > MAX_PATH)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `a name of ${path.length} bytes is longer than any path may be: ${shown(path)}`,
    );
  if (path.includes('\0')) throw new MicaError('INVALID_ARGUMENT', `a NUL in ${shown(path)}`);
  return path;
}

/** Where walking along `names` leads, `..` included. */
function walked(names: readonly string[]): string {
  const left: string[] = [];
  for (const name of names)
    if (name === '..') left.pop();
    else left.push(name);
  return left.join('/');
}

/** The names in a path or link target, empty ones and `.` left out. */
export const splitNames = (path: string): string[] =>
  path.split('/').filter((name) => name !== '' && name !== '.');

/** For messages: readable, and not longer than a few lines. */
export const shown = (bytes: string): string =>
  bytes === '' ? '/' : printable(bytes.length > 300 ? `${bytes.slice(0, 300)}…` : bytes);
