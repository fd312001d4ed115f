import { readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { isCode, MicaError } from '../errors.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';
import { fromNode } from '../sys/errno.ts';
import type { BuildOptions } from './builder.ts';
import { openArchive } from './files/archive.ts';
import { directoryTree } from './files/directory.ts';
import { resolveIn } from './files/resolve.ts';
import {
  PLAIN_DIRECTORY,
  type SourceFile,
  type SourceTree,
  toByteString,
} from './files/source-tree.ts';
import { archiveIn } from './files/sniff-archive.ts';
import { unionFiles } from './files/union-files.ts';
import { without } from './files/without.ts';
import { type Ignore, nothingIgnored, parseIgnoreFile } from './pattern/ignore.ts';

/** Where a build finds what it is made of. */
export interface BuildInput {
  readonly dockerfile: Uint8Array;
  /** Its name, for messages. */
  readonly file: string;
  /** Without what `.dockerignore` leaves out. */
  readonly tree: SourceTree;
}

const NAME = 'the build context';

/**
 * Opens a build's context and reads its Dockerfile. What a stream brings is either an archive of
 * both, or the Dockerfile alone.
 * @param directory - an empty one, for what is unpacked
 */
export async function openInput(
  { context, dockerfile, signal }: Pick<BuildOptions, 'context' | 'dockerfile' | 'signal'>,
  directory: string,
  owner: AsyncDisposableStack,
): Promise<BuildInput> {
  if (typeof context === 'string')
    return readInput(
      directoryTree(await checkedDirectory(context, NAME), NAME),
      dockerfile,
      context,
    );
  const archive = await archiveIn(await spooled(context, directory, { signal }), { signal });
  if (archive !== undefined) {
    const opened = await openArchive(archive({ signal }), join(directory, 'context.tar'), NAME, {
      signal,
    });
    return readInput(asContext(unionFiles(owner.use(opened), NAME)), dockerfile, undefined);
  }
  if (dockerfile !== undefined)
    throw new MicaError('INVALID_ARGUMENT', 'what came as the build context is not a tar archive');
  return { dockerfile: await readFile(join(directory, 'input')), file: 'Dockerfile', tree: EMPTY };
}

/** A directory without what its `.dockerignore` leaves out. @throws NOT_FOUND */
export async function openDirectory(path: string, name: string): Promise<SourceTree> {
  const tree = directoryTree(await checkedDirectory(path, name), name);
  return without(tree, await ignoreOf(tree, []));
}

async function checkedDirectory(path: string, name: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return resolve(path);
  } catch (error) {
    const known = fromNode(error);
    if (!isCode(known, 'NOT_FOUND')) throw known;
  }
  throw new MicaError('NOT_FOUND', `${name}, ${path}, is not a directory`);
}

/** A stream as something that can be read twice. */
async function spooled(
  stream: Bytes,
  directory: string,
  { signal }: Abortable,
): Promise<(options: Abortable) => Bytes> {
  const { writeFile } = await import('node:fs/promises');
  try {
    await writeFile(join(directory, 'input'), stream, {
      flag: 'wx',
      mode: 0o600,
      ...(signal && { signal }),
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw fromNode(error);
  }
  return (options) => directoryTree(directory, NAME).read('input', options);
}

/** Owners and attributes of a context are not those of the image's files. */
const asContext = (tree: SourceTree): SourceTree => ({
  ...tree,
  lstat(path): SourceFile | undefined {
    const file = tree.lstat(path);
    return file && { ...file, uid: 0, gid: 0, xattrs: [] };
  },
});

const EMPTY: SourceTree = {
  name: NAME,
  lstat: (path) => (path === '' ? PLAIN_DIRECTORY : undefined),
  names: () => [],
  async *read() {},
};

async function readInput(
  tree: SourceTree,
  dockerfile: BuildOptions['dockerfile'],
  directory: string | undefined,
): Promise<BuildInput> {
  if (dockerfile instanceof Uint8Array)
    return { dockerfile, file: 'Dockerfile', tree: without(tree, await ignoreOf(tree, [])) };
  const path = dockerfile ?? 'Dockerfile';
  // As docker: a path is first one of the current directory, then one of the context.
  const outside = dockerfile !== undefined && directory !== undefined;
  const text = (outside ? await readOutside(path) : undefined) ?? (await readIn(tree, path));
  if (text === undefined)
    throw new MicaError(
      'NOT_FOUND',
      `there is no ${path} in ${directory ?? NAME}; name it with -f`,
    );
  const besides = outside ? await readOutside(`${path}.dockerignore`) : undefined;
  const ignore =
    besides === undefined
      ? await ignoreOf(tree, [`${path}.dockerignore`])
      : parseIgnoreFile(besides, `${path}.dockerignore`);
  return { dockerfile: text, file: path, tree: without(tree, ignore) };
}

async function ignoreOf(tree: SourceTree, names: readonly string[]): Promise<Ignore> {
  for (const name of [...names, '.dockerignore']) {
    const bytes = await readIn(tree, name);
    if (bytes !== undefined) return parseIgnoreFile(bytes, name);
  }
  return nothingIgnored;
}

/** More is no text of people. In bytes. */
const MAX_TEXT = 16 << 20;

async function readIn(tree: SourceTree, path: string): Promise<Buffer | undefined> {
  if (isAbsolute(path)) return undefined;
  const at = resolveIn(tree, toByteString(path));
  const file = tree.lstat(at);
  if (file?.type !== 'file') return undefined;
  if (file.size > MAX_TEXT)
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `${path} has ${file.size} bytes, more than ${MAX_TEXT}`,
    );
  return Buffer.concat(await Array.fromAsync(tree.read(at)));
}

async function readOutside(path: string): Promise<Buffer | undefined> {
  try {
    const found = await stat(path);
    if (found.isDirectory())
      throw new MicaError(
        'FAILED_PRECONDITION',
        `${path} is a directory; name the file in it with -f`,
      );
    const { size } = found;
    if (size > MAX_TEXT)
      throw new MicaError('RESOURCE_EXHAUSTED', `${path} has ${size} bytes, more than ${MAX_TEXT}`);
    return await readFile(path);
  } catch (error) {
    const known = fromNode(error);
    if (isCode(known, 'NOT_FOUND')) return undefined;
    throw known;
  }
}
