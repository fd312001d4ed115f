import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import type { Bytes } from '../io/bytes.ts';
import { algorithmOf, type Digest, hexOf, isDigest } from '../oci/digest.ts';
import { fromNode } from '../sys/errno.ts';
import { syncDirectory } from '../sys/sync.ts';
import type { FetchOptions } from './content.ts';

/** The file that says that a directory is an OCI image layout, and what it says. */
export const LAYOUT_FILE = 'oci-layout';
export const LAYOUT_VERSION = '{"imageLayoutVersion":"1.0.0"}';

const ALGORITHMS: readonly string[] = ['sha256', 'sha512'];

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

  /** Makes durable which blobs there are, so that something may name them. */
  syncNames(): void {
    const blobs = join(this.directory, 'blobs');
    for (const name of namesIn(blobs))
      if (ALGORITHMS.includes(name)) syncDirectory(join(blobs, name));
    syncDirectory(blobs);
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
    return ALGORITHMS.flatMap((algorithm) =>
      namesIn(join(this.directory, 'blobs', algorithm))
        .map((name) => `${algorithm}:${name}`)
        .filter(isDigest),
    );
  }
}

/** Each piece costs two changes of thread, whatever its size. */
const CHUNK = 1024 * 1024;

/** Reads a file; while one piece is being used, the next is read. */
export async function* readBytes(path: string, { offset = 0, signal }: FetchOptions = {}): Bytes {
  signal?.throwIfAborted();
  let file: FileHandle | undefined;
  let ahead: Promise<Uint8Array> | undefined;
  try {
    file = await open(path);
    let at = offset;
    for (;;) {
      const chunk = await (ahead ?? readPiece(file, at));
      signal?.throwIfAborted();
      at += chunk.byteLength;
      if (chunk.byteLength === 0) return;
      ahead = chunk.byteLength < CHUNK ? undefined : readPiece(file, at);
      yield chunk;
    }
  } catch (error) {
    throw fromNode(error);
  } finally {
    await ahead?.catch(() => undefined);
    await file?.close();
  }
}

async function readPiece(file: FileHandle, at: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK);
  const { bytesRead } = await file.read(buffer, 0, CHUNK, at);
  return buffer.subarray(0, bytesRead);
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
