import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isCode, MicaError } from '../errors.ts';
import { writeAtomic } from '../io/atomic.ts';
import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import { REF_NAME } from '../oci/annotations.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Index, parseIndex } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-type.ts';
import { holdWhenFree } from '../sys/alive.ts';
import { fromNode } from '../sys/errno.ts';
import { syncDirectory } from '../sys/sync.ts';
import { BlobFiles, LAYOUT_FILE, LAYOUT_VERSION } from './blob-files.ts';
import { type Collection, resolveIn } from './collection.ts';
import type { FetchOptions, Sink, Tags } from './content.ts';
import { DOCUMENT_LIMIT, verified } from './verify.ts';

/**
 * A directory in the form of the OCI image layout, by whatever program.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
 */
export interface Layout extends Collection, Sink, Tags {
  /** Lists an image that has no name, unless it is listed already. As with {@link Tags.tag}, all that it needs is on the disk before. */
  add(target: Descriptor, options?: Abortable): Promise<void>;
}

/** The list of images in a layout. */
export const INDEX_FILE = 'index.json';

export interface OpenLayoutOptions {
  /** Make it if there is none. */
  readonly create?: boolean;
}

/** @throws NOT_FOUND when there is no layout, FAILED_PRECONDITION when it is of a version that we do not know */
export function openLayout(directory: string, { create = false }: OpenLayoutOptions = {}): Layout {
  const marker = join(directory, LAYOUT_FILE);
  try {
    if (create && !existsSync(marker)) {
      const first = mkdirSync(join(directory, 'blobs', 'sha256'), { recursive: true });
      if (first !== undefined) syncAbove(directory, first);
      writeIndex(directory, []);
      writeAtomic(marker, LAYOUT_VERSION);
    }
    checkLayoutVersion(directory, readDocument(marker).toString());
  } catch (error) {
    throw fromNode(error);
  }
  return new DirectoryLayout(directory);
}

/** Makes the names of new directories durable: of `first`, and of those below it that lead to `directory`. */
function syncAbove(directory: string, first: string): void {
  const above = dirname(resolve(first));
  for (let at = dirname(resolve(directory)); at.length >= above.length; at = dirname(at)) {
    syncDirectory(at);
    if (at === dirname(at)) return;
  }
}

class DirectoryLayout implements Layout {
  readonly name: string;
  readonly #files: BlobFiles;

  constructor(directory: string) {
    this.name = directory;
    this.#files = new BlobFiles(directory);
  }

  fetch(target: Descriptor, options?: FetchOptions): Bytes {
    return this.#files.read(target.digest, options);
  }

  async has({ digest, size }: Descriptor, { signal }: Abortable = {}): Promise<boolean> {
    signal?.throwIfAborted();
    return this.#files.size(digest) === size;
  }

  async push(target: Descriptor, content: Reopenable, { signal }: Abortable = {}): Promise<void> {
    signal?.throwIfAborted();
    if (await this.has(target)) return;
    const temporary = join(this.name, `.${randomBytes(8).toString('hex')}.new`);
    try {
      await using file = await open(temporary, 'wx', 0o644);
      for await (const chunk of verified(content(0), target)) {
        signal?.throwIfAborted();
        await file.writeFile(chunk);
      }
      await file.sync();
      this.#files.place(temporary, target.digest);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw fromNode(error);
    }
  }

  list(): readonly Descriptor[] {
    return readIndex(this.name).manifests;
  }

  async resolve(reference: string, { signal }: Abortable = {}): Promise<Descriptor> {
    signal?.throwIfAborted();
    return resolveIn(this, reference);
  }

  tag(reference: string, target: Descriptor, options?: Abortable): Promise<void> {
    return this.#list(target, reference, options);
  }

  add(target: Descriptor, options?: Abortable): Promise<void> {
    return this.#list(target, undefined, options);
  }

  async #list(
    target: Descriptor,
    name: string | undefined,
    { signal }: Abortable = {},
  ): Promise<void> {
    using _ = await holdWhenFree(join(this.name, '.index.lock'), signal);
    if (!(await this.has(target)))
      throw new MicaError('NOT_FOUND', `${target.digest} is not in ${this.name}, and gets no name`);
    const all = this.list();
    // What is in the files is on the disk already.
    this.#files.syncNames();
    if (name === undefined) {
      if (!all.some(({ digest }) => digest === target.digest))
        writeIndex(this.name, [...all, target]);
      return;
    }
    const others = all.filter((entry) => entry.annotations?.[REF_NAME] !== name);
    const annotations = { ...target.annotations, [REF_NAME]: name };
    writeIndex(this.name, [...others, { ...target, annotations }]);
  }
}

function readIndex(directory: string): Index {
  const path = join(directory, INDEX_FILE);
  try {
    return parseIndex(readDocument(path), OCI_INDEX);
  } catch (error) {
    const cause = fromNode(error);
    if (!isCode(cause, 'INVALID_ARGUMENT')) throw cause;
    throw new MicaError(cause.code, `${path}: ${cause.message}`, { cause });
  }
}

/** In a layout by somebody else it may be a pipe that nobody writes, or a link to what never ends. */
function readDocument(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw new MicaError('INVALID_ARGUMENT', 'not a regular file');
    if (found.size > DOCUMENT_LIMIT)
      throw new MicaError('INVALID_ARGUMENT', `larger than ${DOCUMENT_LIMIT} bytes`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function writeIndex(directory: string, manifests: readonly Descriptor[]): void {
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  writeAtomic(join(directory, INDEX_FILE), JSON.stringify(index));
}

/** @throws FAILED_PRECONDITION for a version of image layouts that we do not know */
export function checkLayoutVersion(name: string, marker: string): void {
  let version: unknown;
  try {
    version = (JSON.parse(marker) as { imageLayoutVersion?: unknown }).imageLayoutVersion;
  } catch {}
  if (typeof version === 'string' && version.startsWith('1.')) return;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `${name} is an image layout of version ${String(version)}; Mica reads 1.0.0`,
  );
}
