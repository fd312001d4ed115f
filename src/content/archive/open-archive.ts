import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { parseIndex } from '../../oci/manifest.ts';
import { OCI_INDEX } from '../../oci/media-type.ts';
import { LAYOUT_FILE } from '../blob-files.ts';
import { type Collection, resolveIn } from '../collection.ts';
import type { FetchOptions } from '../content.ts';
import { checkLayoutVersion, INDEX_FILE } from '../layout.ts';
import { DOCUMENT_LIMIT } from '../verify.ts';
import { ArchiveFile, type OpenFileOptions } from './archive-file.ts';
import { type Content, DOCKER_LIST, dockerImages, document } from './docker-images.ts';
import { blobPath } from './docker-lists.ts';
import { Members } from './members.ts';

/** An archive of images to read from: what `docker save`, `podman save` and `skopeo` write. */
export interface Archive extends Collection, AsyncDisposable {}

/**
 * Opens an archive: an OCI image layout in a tar, Docker's own format, or both in one, as Docker
 * writes it since version 25; then the layout counts, because it has the manifests and the layers
 * as they were pushed. Plain, or compressed with gzip or zstd.
 *
 * @param from - a file, or bytes that come once
 * @throws INVALID_ARGUMENT for what is no archive of images · NOT_FOUND when it lacks what it names
 *   · DATA_LOSS · NOT_IMPLEMENTED for archives of 2015 and older
 */
export async function openArchive(
  from: string | { readonly bytes: Bytes; readonly name: string },
  options: OpenFileOptions,
): Promise<Archive> {
  await using stack = new AsyncDisposableStack();
  const name = typeof from === 'string' ? from : from.name;
  try {
    const file = stack.use(
      typeof from === 'string'
        ? await ArchiveFile.open(from, options)
        : await ArchiveFile.spool(from.bytes, from.name, options),
    );
    const members = await Members.read(file, options);
    const archive = await openImages(file, members, options);
    stack.move();
    return archive;
  } catch (error) {
    if (!(error instanceof MicaError) || options.signal?.aborted) throw error;
    const message = error.message.includes(name) ? error.message : `${name}: ${error.message}`;
    throw new MicaError(error.code, message, { cause: error });
  }
}

async function openImages(
  file: ArchiveFile,
  members: Members,
  options: Abortable,
): Promise<Archive> {
  const marker = members.findOnly(LAYOUT_FILE);
  if (marker !== undefined) {
    const version = await document(file, marker, DOCUMENT_LIMIT, LAYOUT_FILE);
    checkLayoutVersion('the archive', version.toString());
    const index = members.findOnly(INDEX_FILE);
    if (index === undefined)
      throw new MicaError('INVALID_ARGUMENT', `an image layout without ${INDEX_FILE}`);
    const bytes = await document(file, index, DOCUMENT_LIMIT, INDEX_FILE);
    return new TarArchive(file, members, parseIndex(bytes, OCI_INDEX).manifests, new Map());
  }
  if (members.findOnly(DOCKER_LIST) !== undefined) {
    const { manifests, contents } = await dockerImages(file, members, options);
    return new TarArchive(file, members, manifests, contents);
  }
  if (members.find('repositories') !== undefined)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      'an archive in the format of Docker before 1.10, whose images have no IDs; load it with a Docker that reads it, and save it again',
    );
  throw new MicaError(
    'INVALID_ARGUMENT',
    `no archive of images: it has neither ${LAYOUT_FILE} nor ${DOCKER_LIST}; the tar of a file system is for \`mica import\``,
  );
}

class TarArchive implements Archive {
  readonly #file: ArchiveFile;
  readonly #members: Members;
  readonly #images: readonly Descriptor[];
  readonly #contents: ReadonlyMap<Digest, Content>;

  constructor(
    file: ArchiveFile,
    members: Members,
    images: readonly Descriptor[],
    contents: ReadonlyMap<Digest, Content>,
  ) {
    this.#file = file;
    this.#members = members;
    this.#images = images;
    this.#contents = contents;
  }

  get name(): string {
    return this.#file.name;
  }

  async has({ digest, size }: Descriptor, { signal }: Abortable = {}): Promise<boolean> {
    signal?.throwIfAborted();
    const content = this.#find(digest);
    return content !== undefined && sizeOf(content) === size;
  }

  async *fetch(target: Descriptor, options: FetchOptions = {}): Bytes {
    const { offset = 0, signal, lend } = options;
    signal?.throwIfAborted();
    const { digest, size } = target;
    const content = this.#find(digest);
    if (content === undefined)
      throw new MicaError('NOT_FOUND', `blob ${digest} is not in ${this.name}`);
    if (sizeOf(content) !== size)
      throw new MicaError(
        'DATA_LOSS',
        `${digest}: expected ${size} bytes, the archive has ${sizeOf(content)}`,
      );
    if (content instanceof Uint8Array) yield content.subarray(offset);
    else yield* this.#file.bytes(content.offset + offset, size - offset, { signal, lend });
  }

  list(): readonly Descriptor[] {
    return this.#images;
  }

  async resolve(reference: string, { signal }: Abortable = {}): Promise<Descriptor> {
    signal?.throwIfAborted();
    return resolveIn(this, reference);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file[Symbol.asyncDispose]();
  }

  #find(digest: Digest): Content | undefined {
    return this.#contents.get(digest) ?? this.#members.find(blobPath(digest));
  }
}

const sizeOf = (content: Content): number =>
  content instanceof Uint8Array ? content.byteLength : content.size;
