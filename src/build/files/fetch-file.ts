import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { writeAll } from '../../io/write-all.ts';
import { systemOptions } from '../../registry/credentials.ts';
import { openSession } from '../../registry/registry.ts';
import { fromNode } from '../../sys/errno.ts';
import { directoryTree } from './directory.ts';
import { type SourceFile, type SourceTree, toByteString } from './source-tree.ts';

export interface FetchFileOptions extends Abortable {
  /** What the file must hash to: `sha256:…`. */
  readonly checksum?: string | undefined;
  /** When the server does not say how old it is: in seconds since 1970. */
  readonly time: number;
}

/** A file from afar, as a tree of its own. */
export interface FetchedFile {
  readonly tree: SourceTree;
  /** Byte string. */
  readonly name: string;
}

/** Nobody puts more into an image by one ADD; a server that never ends must not fill the disk. */
const MAX_SIZE = 64 * 2 ** 30;

/**
 * Downloads a file into the empty `directory`. It belongs to root, is 0600, and as old as the
 * server says.
 * @throws DATA_LOSS when it is not what `checksum` says
 */
export async function fetchFile(
  address: URL,
  directory: string,
  { checksum, time, signal }: FetchFileOptions,
): Promise<FetchedFile> {
  const name = nameOf(address);
  const { session, close } = openSession(systemOptions());
  try {
    const response = await session.client.request({ method: 'GET', url: address, signal });
    const found = await writeBody(response.body, `${directory}/file`, { signal });
    if (checksum !== undefined && found !== checksum)
      throw new MicaError(
        'DATA_LOSS',
        `${address.href}: its content hashes to ${found}, not to ${checksum}`,
      );
    const modified = Date.parse(response.header('last-modified') ?? '');
    const mtime = Number.isNaN(modified) ? time : Math.floor(modified / 1000);
    return { name, tree: asOne(directoryTree(directory, address.href), name, mtime) };
  } finally {
    await close();
  }
}

async function writeBody(
  body: AsyncIterable<Uint8Array>,
  path: string,
  { signal }: Abortable,
): Promise<string> {
  const hash = createHash('sha256');
  let size = 0;
  const fd = openSync(path, 'wx', 0o600);
  try {
    for await (const chunk of body) {
      signal?.throwIfAborted();
      size += chunk.length;
      if (size > MAX_SIZE)
        throw new MicaError('RESOURCE_EXHAUSTED', `it is larger than ${MAX_SIZE} bytes`);
      hash.update(chunk);
      writeAll(fd, chunk, path);
    }
  } catch (error) {
    throw fromNode(error);
  } finally {
    closeSync(fd);
  }
  return `sha256:${hash.digest('hex')}`;
}

/** The last name in the address. */
function nameOf({ pathname, href }: URL): string {
  const name = decoded(pathname.slice(pathname.lastIndexOf('/') + 1));
  if (!['', '.', '..'].includes(name) && !name.includes('/') && !name.includes('\0'))
    return toByteString(name);
  throw new MicaError('INVALID_ARGUMENT', `${href} does not end with the name of a file`);
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function asOne(tree: SourceTree, name: string, mtime: number): SourceTree {
  const inside = (path: string): string => (path === name ? 'file' : path);
  return {
    name: tree.name,
    names: () => [name],
    read: (path, options) => tree.read(inside(path), options),
    lstat(path): SourceFile | undefined {
      const file = tree.lstat(inside(path));
      return file?.type === 'file' ? { ...file, mode: 0o600, mtime, mtimeNs: 0 } : file;
    },
  };
}
