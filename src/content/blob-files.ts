import {
  createReadStream,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import type { Bytes } from '../io/bytes.ts';
import { algorithmOf, type Digest, hexOf, isDigest } from '../oci/digest.ts';
import { fromNode } from '../sys/errno.ts';
import type { FetchOptions } from './content.ts';

/** The file that says that a directory is an OCI image layout, and what it says. */
export const LAYOUT_FILE = 'oci-layout';
export const LAYOUT_VERSION = '{"imageLayoutVersion":"1.0.0"}';

/** Where an OCI image layout keeps what. */
export class BlobFiles {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  path(digest: Digest): string {
    return join(this.directory, 'blobs', algorithmOf(digest), hexOf(digest));
  }

  /** Moves the complete, verified file `from` to where the blob belongs. */
  place(from: string, digest: Digest): void {
    try {
      mkdirSync(join(this.directory, 'blobs', algorithmOf(digest)), { recursive: true });
      renameSync(from, this.path(digest));
    } catch (error) {
      throw fromNode(error);
    }
  }

  /** In bytes; `undefined` when there is no such file. */
  size(digest: Digest): number | undefined {
    return sizeOf(this.path(digest));
  }

  /** A layout by somebody else may hold links and pipes, which could lead anywhere or never end. */
  async *read(digest: Digest, options: FetchOptions = {}): Bytes {
    options.signal?.throwIfAborted();
    const path = this.path(digest);
    const stats = lstat(path);
    if (stats === undefined)
      throw new MicaError('NOT_FOUND', `blob ${digest} is not in ${this.directory}`);
    if (!stats.isFile()) throw new MicaError('INVALID_ARGUMENT', `${path} is not a regular file`);
    yield* readBytes(path, options);
  }

  remove(digest: Digest): void {
    try {
      rmSync(this.path(digest), { force: true });
    } catch (error) {
      throw fromNode(error);
    }
  }

  /** Digests of all files, known to anybody or not. */
  list(): Digest[] {
    return ['sha256', 'sha512'].flatMap((algorithm) =>
      namesIn(join(this.directory, 'blobs', algorithm))
        .map((name) => `${algorithm}:${name}`)
        .filter(isDigest),
    );
  }
}

/** Node's default of 64 KiB costs noticeably more. */
const CHUNK = 256 * 1024;

export async function* readBytes(path: string, { offset = 0, signal }: FetchOptions = {}): Bytes {
  signal?.throwIfAborted();
  const stream = createReadStream(path, { start: offset, highWaterMark: CHUNK });
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      signal?.throwIfAborted();
      yield chunk;
    }
  } catch (error) {
    throw fromNode(error);
  } finally {
    stream.destroy();
  }
}

export const sizeOf = (path: string): number | undefined => lstat(path)?.size;

function lstat(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw fromNode(error);
  }
}

/** Sorted; none where there is no directory. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fromNode(error);
  }
}
