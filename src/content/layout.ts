import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode, MicaError } from '../errors.ts';
import { writeAtomic } from '../io/atomic.ts';
import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import { REF_NAME } from '../oci/annotations.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Index, parseIndex } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-type.ts';
import { holdWhenFree } from '../sys/alive.ts';
import { fromNode } from '../sys/errno.ts';
import { BlobFiles, LAYOUT_FILE, LAYOUT_VERSION, sizeOf } from './blob-files.ts';
import type { FetchOptions, Sink, Source, Tags } from './content.ts';
import { DOCUMENT_LIMIT, verified } from './verify.ts';

/**
 * A directory in the form of the OCI image layout, by whatever program.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
 */
export interface Layout extends Source, Sink, Tags {
  readonly directory: string;
  /** What `index.json` lists; names are in the annotation `org.opencontainers.image.ref.name`. */
  list(): readonly Descriptor[];
}

export interface OpenLayoutOptions {
  /** Make it if there is none. */
  readonly create?: boolean;
}

/** @throws NOT_FOUND when there is no layout, FAILED_PRECONDITION when it is of a version that we do not know */
export function openLayout(directory: string, { create = false }: OpenLayoutOptions = {}): Layout {
  const marker = join(directory, LAYOUT_FILE);
  try {
    if (create && !existsSync(marker)) {
      mkdirSync(join(directory, 'blobs', 'sha256'), { recursive: true });
      writeIndex(directory, []);
      writeAtomic(marker, LAYOUT_VERSION);
    }
    checkVersion(directory, readFileSync(marker, 'utf8'));
  } catch (error) {
    throw fromNode(error);
  }
  return new DirectoryLayout(directory);
}

class DirectoryLayout implements Layout {
  readonly directory: string;
  readonly #files: BlobFiles;

  constructor(directory: string) {
    this.directory = directory;
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
    const temporary = join(this.directory, `.${randomBytes(8).toString('hex')}.new`);
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
    return readIndex(this.directory).manifests;
  }

  async resolve(reference: string, { signal }: Abortable = {}): Promise<Descriptor> {
    signal?.throwIfAborted();
    const found = this.list().find((entry) => nameOf(entry) === reference);
    if (found !== undefined) return found;
    const names = this.list().map((entry) => nameOf(entry) ?? entry.digest);
    throw new MicaError(
      'NOT_FOUND',
      `nothing is named ${reference} in ${this.directory}, which has ${names.join(', ') || 'no image'}`,
    );
  }

  async tag(reference: string, target: Descriptor, { signal }: Abortable = {}): Promise<void> {
    using _ = await holdWhenFree(join(this.directory, '.index.lock'), signal);
    if (!(await this.has(target)))
      throw new MicaError(
        'NOT_FOUND',
        `tag ${reference}: ${target.digest} is not in ${this.directory}`,
      );
    const others = this.list().filter((entry) => nameOf(entry) !== reference);
    const annotations = { ...target.annotations, [REF_NAME]: reference };
    writeIndex(this.directory, [...others, { ...target, annotations }]);
  }
}

const nameOf = ({ annotations }: Descriptor): string | undefined => annotations?.[REF_NAME];

function readIndex(directory: string): Index {
  const path = join(directory, 'index.json');
  try {
    if ((sizeOf(path) ?? 0) > DOCUMENT_LIMIT)
      throw new MicaError('INVALID_ARGUMENT', `larger than ${DOCUMENT_LIMIT} bytes`);
    return parseIndex(readFileSync(path), OCI_INDEX);
  } catch (error) {
    const cause = fromNode(error);
    if (!isCode(cause, 'INVALID_ARGUMENT')) throw cause;
    throw new MicaError(cause.code, `${path}: ${cause.message}`, { cause });
  }
}

function writeIndex(directory: string, manifests: readonly Descriptor[]): void {
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  writeAtomic(join(directory, 'index.json'), JSON.stringify(index));
}

function checkVersion(directory: string, marker: string): void {
  let version: unknown;
  try {
    version = (JSON.parse(marker) as { imageLayoutVersion?: unknown }).imageLayoutVersion;
  } catch {}
  if (typeof version === 'string' && version.startsWith('1.')) return;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `${directory} is an image layout of version ${String(version)}; Mica reads 1.0.0`,
  );
}
