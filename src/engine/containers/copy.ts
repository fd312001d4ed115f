import { posix } from 'node:path';
import { extractInto, type ExtractOptions } from '../../container/copy/extract.ts';
import {
  type CopySource,
  type CopySourceOptions,
  withCopySource,
} from '../../container/copy/source.ts';
import { isCode, MicaError } from '../../errors.ts';
import { Root } from '../../fs/root.ts';
import type { Bytes } from '../../io/bytes.ts';
import { close, O_DIRECTORY, O_PATH } from '../../sys/at.ts';
import { printable } from '../../sys/byte-string.ts';
import type { Context } from '../context.ts';
import { withTree } from './tree.ts';

/** @see Containers.copyFrom */
export const copyFrom = <T>(
  context: Context,
  name: string,
  path: string,
  options: CopySourceOptions,
  task: (source: CopySource) => Promise<T>,
): Promise<T> => withTree(context, name, (root) => withCopySource(root, path, options, task));

/** @see Containers.copyTo */
export const copyTo = (
  context: Context,
  name: string,
  path: string,
  source: CopySource,
  options: ExtractOptions = {},
): Promise<void> => withTree(context, name, (root) => placeInto(root, path, source, options));

/** @see Containers.extractTo */
export const extractTo = (
  context: Context,
  name: string,
  path: string,
  archive: Bytes,
  options: ExtractOptions = {},
): Promise<void> => withTree(context, name, (root) => extractInto(root, path, archive, options));

/**
 * docker's rules: into a directory that is there, under its own name; else as `path` itself.
 * @param top - of the tree that `path` is in; `/` for this machine's
 */
export async function placeInto(
  top: string,
  path: string,
  source: CopySource,
  options: ExtractOptions,
): Promise<void> {
  const found = typeAt(top, path);
  const archive = source.archive(options);
  if (found === 'directory') {
    const rename = source.top === source.name ? undefined : ([source.top, source.name] as const);
    return await extractInto(top, path, archive, { ...options, rename });
  }
  if (found === 'other' && source.isDirectory)
    throw new MicaError(
      'ALREADY_EXISTS',
      `cannot copy a directory to ${printable(path)}: it is a file`,
    );
  if (path.endsWith('/') && !source.isDirectory)
    throw new MicaError('NOT_FOUND', `the directory ${printable(path)} does not exist`);
  const clean = path.replace(/\/+$/, '');
  const rename = [source.top, posix.basename(clean)] as const;
  await extractInto(top, posix.dirname(clean), archive, { ...options, rename });
}

function typeAt(top: string, path: string): 'directory' | 'other' | 'nothing' {
  using root = new Root(top);
  for (const [type, flags] of [
    ['directory', O_PATH | O_DIRECTORY],
    ['other', O_PATH],
  ] as const)
    try {
      close(root.open(path, flags));
      return type;
    } catch (error) {
      if (!isCode(error, 'NOT_FOUND') && !isCode(error, 'FAILED_PRECONDITION')) throw error;
    }
  return 'nothing';
}
